//! Chooses the adapter.

use std::sync::Arc;

use super::embedded::EmbeddedBroker;
use super::port::{BrokerError, SharedBroker};
#[cfg(feature = "rabbitmq")]
use super::rabbitmq::RabbitMqBroker;
use crate::settings::{BrokerSettings, BrokerUrl};

/// Opens the broker of `settings`. It connects in the background and reconnects after every failure.
///
/// # Errors
/// [`BrokerError::Url`] if an address cannot be parsed, or this program is built without RabbitMQ;
/// [`BrokerError::Tls`] if a file of `broker.tls` is unusable.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn open(settings: &BrokerSettings) -> Result<SharedBroker, BrokerError> {
    match &settings.url {
        BrokerUrl::Embedded => Ok(Arc::new(EmbeddedBroker::new(settings.into()))),
        #[cfg(feature = "rabbitmq")]
        BrokerUrl::Amqp(urls) => Ok(Arc::new(RabbitMqBroker::connect(urls, settings)?)),
        #[cfg(not(feature = "rabbitmq"))]
        BrokerUrl::Amqp(_) => Err(BrokerError::Url("this program is built without RabbitMQ".into())),
    }
}
