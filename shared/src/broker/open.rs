//! Chooses the adapter.

use std::sync::Arc;

use super::embedded::EmbeddedBroker;
use super::port::{BrokerError, SharedBroker};
#[cfg(feature = "rabbitmq")]
use super::rabbitmq::RabbitMqBroker;
use super::settings::BrokerSettings;

/// Opens the broker of `settings`. It connects in the background and reconnects after every failure.
///
/// # Errors
/// [`BrokerError::Url`]: the URL is none of `embedded:`, `amqp://…` and `amqps://…`.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn open(settings: &BrokerSettings) -> Result<SharedBroker, BrokerError> {
    match settings.url.split_once(':') {
        Some(("embedded", _)) => Ok(Arc::new(EmbeddedBroker::new(settings.into()))),
        #[cfg(feature = "rabbitmq")]
        Some(("amqp" | "amqps", _)) => Ok(Arc::new(RabbitMqBroker::connect(settings)?)),
        _ => Err(BrokerError::Url("expected embedded:, amqp://… or amqps://…".into())),
    }
}
