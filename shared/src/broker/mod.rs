//! The broker, which carries jobs to workers and answers back to gateways.
//!
//! The port (`port.rs`) has two capabilities, [`Publish`] and [`Consume`], and [`Broker`] joins them. Two adapters
//! implement it, [`embedded`] and [`rabbitmq`], and one conformance suite (`shared/tests/it/broker`) runs on both.
//!
//! Delivery is at least once. A message may be published twice (its confirm was lost) and delivered twice (its consumer
//! died): a job may be computed twice, and the gateway drops the second result. A message leaves its queue when its consumer settles it ([`Settlement`]).
//! Messages that expire, are rejected or exceed the delivery limit ([`DELIVERY_LIMIT`]) become dead letters.

mod circuit_breaker;
mod delivery;
pub mod embedded;
mod message;
mod metrics;
mod open;
mod port;
mod queue;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod retrying_publisher;

pub use self::delivery::{Delivery, Settle, SettleError, Settlement};
pub use self::message::Message;
pub use self::metrics::export_health;
pub use self::open::open;
pub use self::port::{
    Broker, BrokerError, BrokerHealth, Consume, Deliveries, Depth, Publish, Published, Replies, ReplyEvent,
    SharedBroker,
};
pub use self::queue::{DEAD_LETTER_TTL, DELIVERY_LIMIT, Queue};
pub use self::retrying_publisher::RetryingPublisher;
pub use crate::settings::{BrokerSettings, TopologyMode};
