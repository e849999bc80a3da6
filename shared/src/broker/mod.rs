//! The broker port: how jobs get to workers and answers get back.
//!
//! Two adapters, [`embedded`] and [`rabbitmq`], pass one conformance suite. Delivery is at least once; who
//! consumes a result drops what they have seen before (by job id).

pub mod embedded;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
pub mod republish;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::settings::BrokerUrl;
pub use crate::settings::{BrokerSettings, Topology};

/// Failed attempts after which the broker itself gives a message up. A backstop: workers give up long before.
pub const DELIVERY_LIMIT: u32 = 20;

/// Time that dead letters are kept.
pub const DEAD_LETTER_TTL: Duration = Duration::from_hours(24);

/// Announcements that wait for a subscriber who is slow; further ones it does not hear.
const ANNOUNCEMENT_BACKLOG: usize = 1024;

/// Answers on their way to one gateway that it has not settled.
const REPLY_PREFETCH: u16 = 256;

/// Where messages wait.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Queue {
    /// Jobs with a caller who waits.
    Interactive,
    /// Replays: minutes, not seconds.
    Replay,
    /// Jobs that were seen when a worker died; done one at a time.
    Quarantine,
    /// Results of replays.
    Results,
    /// Dead letters: for people, and for the replay command.
    DeadLetters,
    /// Replies to one gateway instance; the name comes from [`ReplyEvent::Opened`].
    Reply(String),
}

impl Queue {
    /// The queues that are always there.
    pub const DURABLE: [Self; 5] =
        [Self::Interactive, Self::Replay, Self::Quarantine, Self::Results, Self::DeadLetters];

    /// The queue's name at the broker.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Interactive => "faceline.jobs.interactive",
            Self::Replay => "faceline.jobs.replay",
            Self::Quarantine => "faceline.jobs.quarantine",
            Self::Results => "faceline.results",
            Self::DeadLetters => "faceline.dead",
            Self::Reply(name) => name,
        }
    }
}

/// Name of a gateway's reply queue. A generation is never used twice, so that an answer to a lost queue does not
/// reach its successor.
fn reply_queue(instance: &str, generation: u64) -> String {
    format!("faceline.reply.{instance}.{generation}")
}

/// A message as the broker sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The job that it belongs to.
    pub id: Uuid,
    /// Queue for the answer.
    pub reply_to: Option<String>,
    /// The message is dead-lettered when it has waited this long.
    pub expiration: Option<Duration>,
    /// Failed attempts in the queues that it was in before (a job in quarantine brings its own past).
    pub earlier_attempts: u32,
    /// The envelope.
    pub body: Bytes,
}

/// What became of a message that was published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// The broker has it, safely.
    Accepted,
    /// The queue is full; the message is nowhere.
    Full,
    /// There is no such queue; the message is nowhere.
    Returned,
    /// There is no connection; the message is nowhere.
    Unreachable,
    /// The confirm did not come in time: the broker may have the message or not.
    Unknown,
}

/// What happens to a delivered message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settlement {
    /// Done.
    Ack,
    /// A failed attempt: back to the head, with one more on its count.
    Failed,
    /// Not started: back to the head. RabbitMQ before 4.0 counts this like a failed attempt.
    GiveBack,
    /// To the dead letters.
    DeadLetter,
}

/// Why settling had no effect; the message will come again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettleError {
    /// It was settled before.
    #[error("the delivery is settled already")]
    AlreadySettled,
    /// The connection that delivered it is gone, and the broker has taken the message back.
    #[error("the connection that delivered the message is gone")]
    Gone,
}

/// The broker cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// No connection.
    #[error("the broker is not reachable: {0}")]
    Unreachable(String),
    /// The address cannot be understood.
    #[error("broker.url is not usable: {0}")]
    Url(String),
    /// The queues at the broker are not as they must be.
    #[error("the broker's queues are not as they must be: {0}")]
    Topology(String),
}

/// An adapter's half of a delivery.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Tells the broker.
    ///
    /// # Errors
    /// [`SettleError::Gone`].
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError>;

    /// Waits until the broker has acted on what it was told.
    ///
    /// # Errors
    /// [`SettleError::Gone`].
    async fn heard(&self) -> Result<(), SettleError>;

    /// The delivery was dropped unsettled: a failed attempt.
    fn abandon(&self);
}

/// A message in a consumer's hands. Dropped unsettled, it is a failed attempt.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Failed attempts at it in this queue.
    pub attempts: u32,
    settled: AtomicBool,
    settle: Box<dyn Settle>,
}

impl Delivery {
    /// For adapters.
    #[must_use]
    pub fn new(message: Message, attempts: u32, settle: Box<dyn Settle>) -> Self {
        Self { message, attempts, settled: AtomicBool::new(false), settle }
    }

    /// Failed attempts at the message in all queues that it was in.
    #[must_use]
    pub fn total_attempts(&self) -> u32 {
        self.message.earlier_attempts.saturating_add(self.attempts)
    }

    /// Settles the message, once. It says that the broker was told, not that it has heard.
    ///
    /// # Errors
    /// [`SettleError`]: the settlement had no effect.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        if self.settled.swap(true, Ordering::AcqRel) {
            return Err(SettleError::AlreadySettled);
        }
        self.settle.settle(settlement).await
    }

    /// Waits until the broker has acted on the settlement. Until then the end of this process may undo it: a broker can
    /// forget what it has read from a connection that breaks.
    ///
    /// # Errors
    /// [`SettleError::Gone`]: it is not known whether it has.
    pub async fn heard(&self) -> Result<(), SettleError> {
        self.settle.heard().await
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("id", &self.message.id)
            .field("attempts", &self.attempts)
            .finish()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !*self.settled.get_mut() {
            self.settle.abandon();
        }
    }
}

/// A consumer's stream. It outlives connections: after an outage it goes on with the same prefetch.
#[async_trait]
pub trait Deliveries: Send {
    /// The next message; `None` after the broker was closed. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Option<Delivery>;
}

/// What a gateway hears on its reply queue.
#[derive(Debug)]
pub enum ReplyEvent {
    /// A new queue is there. The one before it is gone, with whatever was on its way to it: what is pending has
    /// to be published again with this name in `reply_to`.
    Opened {
        /// Name for [`Message::reply_to`].
        queue: String,
    },
    /// The queue, or the connection to it, was lost; the next generation follows.
    Lost,
    /// An answer, taken from its queue: what a gateway loses on the way from here it publishes again, so that
    /// acknowledging each answer would be work for nothing.
    Reply(Message),
}

/// The stream of a gateway's replies, over all generations of its queue.
#[async_trait]
pub trait Replies: Send {
    /// The next event; `None` after the broker was closed. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Option<ReplyEvent>;
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Depth {
    /// Messages that wait.
    pub ready: u64,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// Gives messages to the broker.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Publishes with confirmation, mandatory and persistent.
    async fn publish(&self, queue: &Queue, message: &Message) -> Published;

    /// Tells every subscriber, best effort: who is not there does not hear it.
    async fn announce(&self, body: Bytes);
}

/// Takes messages from the broker.
#[async_trait]
pub trait Consume: Send + Sync {
    /// A stream of a queue's messages with at most `prefetch` of them unsettled.
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Box<dyn Deliveries>;

    /// A stream of the replies to `instance`, over a queue of its own.
    async fn replies(&self, instance: &str) -> Box<dyn Replies>;

    /// A stream of announcements.
    async fn announcements(&self) -> tokio::sync::mpsc::Receiver<Bytes>;
}

/// A broker.
#[async_trait]
pub trait Broker: Publish + Consume {
    /// How full `queue` is.
    ///
    /// # Errors
    /// No connection.
    async fn depth(&self, queue: &Queue) -> Result<Depth, BrokerError>;

    /// Whether there is a connection now.
    fn is_connected(&self) -> bool;

    /// Ends all streams and connections.
    async fn close(&self);
}

/// A broker that is shared by the parts of a process.
pub type SharedBroker = Arc<dyn Broker>;

/// The broker that `settings` describe. It connects in the background, again and again.
///
/// # Errors
/// [`BrokerError::Url`] if the address cannot be understood, or this program is built without RabbitMQ.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn open(settings: &BrokerSettings) -> Result<SharedBroker, BrokerError> {
    match &settings.url {
        BrokerUrl::Embedded => Ok(Arc::new(embedded::EmbeddedBroker::new(settings.into()))),
        #[cfg(feature = "rabbitmq")]
        BrokerUrl::Amqp(url) => Ok(Arc::new(rabbitmq::RabbitMqBroker::connect(url, settings)?)),
        #[cfg(not(feature = "rabbitmq"))]
        BrokerUrl::Amqp(_) => Err(BrokerError::Url("this program is built without RabbitMQ".into())),
    }
}
