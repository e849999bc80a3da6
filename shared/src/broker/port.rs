//! The port: what an adapter offers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::delivery::Delivery;
use super::message::Message;
use super::queue::Queue;

/// Announcements that wait for one slow subscriber. Further ones are dropped for that subscriber.
pub(super) const MAX_WAITING_ANNOUNCEMENTS: usize = 1024;

/// Prefetch of a reply queue: unsettled replies on their way to one gateway.
pub(super) const REPLY_PREFETCH: u16 = 256;

/// The outcome of a publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Confirmed: the broker has stored the message (publisher confirm, ack).
    Accepted,
    /// The queue is full and refused the message (nack), or the broker blocks publishers because its memory or disk is
    /// full. The message was not stored.
    Full,
    /// Unroutable: the queue does not exist, and the broker returned the message (mandatory flag). It was not stored.
    Returned,
    /// There is no connection. The message was not sent.
    Unreachable,
    /// The confirm is missing: it timed out or the connection broke. The message may be stored or not.
    Unknown,
}

/// Why the broker cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// There is no connection.
    #[error("the broker is not reachable: {0}")]
    Unreachable(String),
    /// `broker.url` cannot be parsed.
    #[error("broker.url is not usable: {0}")]
    Url(String),
    /// A queue is missing, or it exists with other arguments.
    #[error("the broker's queues are not as they must be: {0}")]
    Topology(String),
}

/// A stream of deliveries. It outlives connections: after an outage it continues with the same prefetch.
#[async_trait]
pub trait Deliveries: Send {
    /// The next delivery; `None` after the broker or this stream was closed. Cancel-safe: dropping the future loses no message.
    async fn next(&mut self) -> Option<Delivery>;

    /// Ends the stream: the broker delivers nothing more to it, and what it had sent ahead goes back uncounted
    /// ([`Settlement::GiveBack`](super::Settlement::GiveBack)). Deliveries that were received can still be settled. Dropping a stream does the
    /// same in the background.
    async fn close(&mut self);
}

/// An event of a gateway's reply queue.
#[derive(Debug)]
pub enum ReplyEvent {
    /// A new queue is open. The previous one is lost with all replies that were on their way to it, so the gateway has
    /// to publish all pending jobs again with this name in `reply_to`.
    Opened {
        /// Name for [`Message::reply_to`].
        queue: String,
    },
    /// The queue, or the connection to it, was lost. The next generation follows.
    Lost,
    /// A reply. It is acknowledged already: if the gateway loses it, the job is still pending and is published again,
    /// so acknowledging each reply after its use would gain nothing.
    Reply(Message),
}

/// The stream of a gateway's replies, over all generations of its reply queue.
#[async_trait]
pub trait Replies: Send {
    /// The next event; `None` after the broker was closed. Cancel-safe: dropping the future loses no event.
    async fn next(&mut self) -> Option<ReplyEvent>;
}

/// The depth of a queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Depth {
    /// Messages that wait, without those that consumers have and did not settle yet.
    pub ready: u64,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// The capability to publish.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Publishes a persistent, mandatory message and waits for the publisher confirm.
    async fn publish(&self, queue: &Queue, message: &Message) -> Published;

    /// Broadcasts to every subscriber, best effort (at most once): a process that is not connected misses it.
    async fn announce(&self, body: Bytes);
}

/// The capability to consume.
#[async_trait]
pub trait Consume: Send + Sync {
    /// A stream of a queue's messages, at most `prefetch` of them unsettled at a time.
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Box<dyn Deliveries>;

    /// A stream of the replies to `instance`, over a queue of its own.
    async fn replies(&self, instance: &str) -> Box<dyn Replies>;

    /// A stream of announcements.
    async fn announcements(&self) -> tokio::sync::mpsc::Receiver<Bytes>;
}

/// A broker with all capabilities.
#[async_trait]
pub trait Broker: Publish + Consume {
    /// The depth of `queue`.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] without a connection, [`BrokerError::Topology`] if there is no such queue.
    async fn depth(&self, queue: &Queue) -> Result<Depth, BrokerError>;

    /// Whether there is a connection now.
    fn is_connected(&self) -> bool;

    /// Ends all streams and connections.
    async fn close(&self);
}

/// A broker that the parts of a process share.
pub type SharedBroker = Arc<dyn Broker>;
