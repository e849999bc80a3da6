//! The broker of a single process: bounded queues in memory that behave as RabbitMQ's do.
//!
//! Messages do not survive the process; callers who wait are gone with it, and replays are published again from
//! the store.

mod consumer;
mod ready;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use self::consumer::{EmbeddedDeliveries, EmbeddedReplies};
use self::state::State;
use super::{
    ANNOUNCEMENT_BACKLOG, Broker, BrokerError, BrokerSettings, Consume, Deliveries, Depth, Message, Publish,
    Published, Queue, Replies,
};

/// Bounds of the queues.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages that wait in one queue.
    pub max_length: u64,
    /// Bytes that wait in one queue.
    pub max_length_bytes: u64,
    /// Dead letters; the oldest ones go.
    pub dead_letters: u64,
}

impl From<&BrokerSettings> for Limits {
    fn from(settings: &BrokerSettings) -> Self {
        Self {
            max_length: settings.max_length,
            max_length_bytes: settings.max_length_bytes,
            dead_letters: settings.dead_letter_max_length,
        }
    }
}

/// What the broker and its consumers share.
struct Core {
    state: Mutex<State>,
    /// Wakes consumers after every change.
    changed: Notify,
    subscribers: Mutex<Vec<mpsc::Sender<Bytes>>>,
}

impl Core {
    /// Works on the state and wakes those who wait for a change.
    fn change<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        let result = self.look(work);
        self.changed.notify_waiters();
        result
    }

    /// Works on the state where nobody has to know.
    fn look<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        work(&mut lock(&self.state), Instant::now())
    }
}

/// The guarded values stay whole where a thread panics, because no code of others runs under the locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A broker in this process.
pub struct EmbeddedBroker {
    core: Arc<Core>,
}

impl EmbeddedBroker {
    /// A broker with empty queues.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let core = Core {
            state: Mutex::new(State::new(limits)),
            changed: Notify::new(),
            subscribers: Mutex::default(),
        };
        Self { core: Arc::new(core) }
    }

    /// Does what the loss of all connections does to RabbitMQ's clients: unsettled deliveries go back as failed
    /// attempts, and reply queues are lost.
    #[cfg(feature = "testkit")]
    pub fn interrupt(&self) {
        self.core.change(State::interrupt);
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
        self.core.change(|state, now| state.publish(queue, message.clone(), now))
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
        let id = self.core.look(|state, _| state.add_consumer(queue.clone(), prefetch));
        Box::new(EmbeddedDeliveries::new(Arc::clone(&self.core), id))
    }

    async fn replies(&self, instance: &str) -> Box<dyn Replies> {
        Box::new(EmbeddedReplies::new(Arc::clone(&self.core), instance))
    }

    async fn announcements(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(ANNOUNCEMENT_BACKLOG);
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
            .look(|state, now| state.depth(queue, now))
            .ok_or_else(|| BrokerError::Topology(format!("there is no queue {}", queue.name())))
    }

    fn is_connected(&self) -> bool {
        self.core.look(|state, _| !state.is_closed())
    }

    async fn close(&self) {
        self.core.change(|state, _| state.close());
        lock(&self.core.subscribers).clear();
    }
}
