//! The embedded broker: bounded queues in memory, for a single process. They behave like RabbitMQ's quorum queues.
//!
//! Messages do not survive the process, but callers that wait would lose their connections anyway.

mod bounds;
mod core;
mod deliveries;
mod ready_queue;
mod state;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

pub use self::bounds::QueueBounds;
use self::core::{EmbeddedCore, lock};
use self::deliveries::{EmbeddedDeliveries, EmbeddedReplies};
use self::state::EmbeddedState;
use super::message::Message;
use super::port::{
    Broker, BrokerError, BrokerHealth, Consume, Deliveries, Depth, MAX_WAITING_ANNOUNCEMENTS, Publish,
    Published, Replies,
};
use super::queue::Queue;

/// A broker in this process. Dropping it closes it.
pub struct EmbeddedBroker {
    core: Arc<EmbeddedCore>,
}

impl EmbeddedBroker {
    /// A broker with empty queues.
    #[must_use]
    pub fn new(bounds: QueueBounds) -> Self {
        let core = EmbeddedCore {
            state: Mutex::new(EmbeddedState::new(bounds)),
            changed: Notify::new(),
            subscribers: Mutex::default(),
        };
        Self { core: Arc::new(core) }
    }

    /// Simulates the loss of all connections to RabbitMQ: unsettled deliveries return as failed attempts, and reply
    /// queues are lost.
    #[cfg(feature = "testkit")]
    pub fn interrupt(&self) {
        self.core.change(EmbeddedState::interrupt);
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.core.change(|state, _| state.close());
    }
}

#[async_trait]
impl Publish for EmbeddedBroker {
    async fn publish(&self, queue: &Queue, message: &Message) -> Published {
        // A worker publishes to the name in a job's `reply_to`, which may be that of a durable queue.
        let resolved = match queue {
            Queue::Reply(name) => &Queue::of_reply_to(name),
            durable => durable,
        };
        self.core.change(|state, now| state.publish(resolved, message.clone(), now))
    }

    async fn announce(&self, body: Bytes) {
        lock(&self.core.subscribers).retain(|subscriber| {
            !matches!(subscriber.try_send(body.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
    }
}

#[async_trait]
impl Consume for EmbeddedBroker {
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Box<dyn Deliveries> {
        let id = self.core.with_state(|state, _| state.add_consumer(queue.clone(), prefetch));
        Box::new(EmbeddedDeliveries::new(Arc::clone(&self.core), id))
    }

    async fn replies(&self, instance: &str) -> Box<dyn Replies> {
        Box::new(EmbeddedReplies::new(Arc::clone(&self.core), instance))
    }

    async fn announcements(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING_ANNOUNCEMENTS);
        let mut subscribers = lock(&self.core.subscribers);
        if self.is_connected() {
            subscribers.push(sender);
        }
        receiver
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn depth(&self, queue: &Queue) -> Result<Depth, BrokerError> {
        self.core
            .with_state(|state, now| state.depth(queue, now))
            .ok_or_else(|| BrokerError::Topology(format!("there is no queue {}", queue.name())))
    }

    fn health(&self) -> BrokerHealth {
        let is_connected = self.core.with_state(|state, _| !state.is_closed());
        BrokerHealth { is_connected, ..BrokerHealth::default() }
    }

    async fn close(&self) {
        self.core.change(|state, _| state.close());
        lock(&self.core.subscribers).clear();
    }
}
