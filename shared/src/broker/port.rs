//! The port: the interface that every adapter implements.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::delivery::Delivery;
use super::message::Message;
use super::queue::Queue;
use crate::admin::ConditionState;

/// Maximum number of announcements that wait for one slow subscriber. Further ones are dropped for that subscriber.
pub(super) const MAX_WAITING_ANNOUNCEMENTS: usize = 1024;

/// Prefetch of a reply queue: unsettled replies on their way to one gateway.
pub(super) const REPLY_PREFETCH: u16 = 256;

/// The outcome of a publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Confirmed: the broker has stored the message (publisher confirm, ack).
    Accepted,
    /// The queue is full and refused the message (nack). It was not stored.
    Full,
    /// The broker blocks publishers because its memory or disk is full (a resource alarm). The message was not sent, or
    /// the broker has it without a confirm and may store it when the alarm ends.
    Blocked,
    /// Unroutable: the queue does not exist, and the broker returned the message (mandatory flag). It was not stored.
    Returned,
    /// There is no connection. The message was not sent.
    Unreachable,
    /// The confirm is missing: it timed out or the connection broke. The message may be stored or not.
    Unknown,
}

/// Reason why the broker cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// There is no connection.
    #[error("the broker is not reachable: {0}")]
    Unreachable(String),
    /// `broker.url` cannot be parsed.
    #[error("broker.url is not usable: {0}")]
    Url(String),
    /// A file of `broker.tls` is unusable, or one side does not accept the other's certificate.
    #[error(
        "TLS towards the broker fails: {0}; check broker.tls, the broker's certificate and its name in broker.url"
    )]
    Tls(String),
    /// The broker refuses user and password.
    #[error(
        "the broker refuses the user of broker.url: {0}; correct user and password in broker.url (RabbitMQ's own user \
         guest may connect from the broker's machine only)"
    )]
    Credentials(String),
    /// The virtual host does not exist, or the user has no access to it.
    #[error(
        "the broker refuses the virtual host of broker.url: {0}; name another one at the end of broker.url, or create it \
         and give the user access (rabbitmqctl add_vhost, rabbitmqctl set_permissions)"
    )]
    VirtualHost(String),
    /// A queue is missing, it exists with other arguments, or the user may not declare it.
    #[error("the broker's queues are not as they must be: {0}")]
    Topology(String),
}

impl BrokerError {
    /// Whether the error lasts until an operator changes settings or the broker.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }

    /// The label in metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Url(_) => "url",
            Self::Tls(_) => "tls",
            Self::Credentials(_) => "credentials",
            Self::VirtualHost(_) => "virtual_host",
            Self::Topology(_) => "queues",
        }
    }

    /// All values of [`Self::label`].
    pub(super) const LABELS: [&'static str; 6] =
        ["unreachable", "url", "tls", "credentials", "virtual_host", "queues"];
}

/// State of the connections to the broker.
#[derive(Clone, Debug, Default)]
pub struct BrokerHealth {
    /// Whether there is a connection now.
    pub is_connected: bool,
    /// The broker's own reason for blocking publishers; `None` while it blocks none. Without a publisher, a broker does
    /// not report its alarm.
    pub blocked: Option<String>,
    /// Error of the last attempt to connect; `None` while there is a connection.
    pub problem: Option<BrokerError>,
}

impl BrokerHealth {
    /// Describes the problem for operators; `None` if there is none.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match (&self.problem, &self.blocked) {
            (Some(problem), _) => Some(problem.to_string()),
            (None, Some(reason)) => Some(format!("an alarm of the broker blocks publishing: {reason}")),
            (None, None) if !self.is_connected => Some("the broker is not connected".to_owned()),
            (None, None) => None,
        }
    }

    /// State of the readiness condition for the broker. Wrong settings of this process make it not ready. A wrong
    /// queue, an alarm and an unavailable broker degrade it, because they affect all processes alike.
    #[must_use]
    pub fn condition_state(&self) -> ConditionState {
        let is_misconfigured = self
            .problem
            .as_ref()
            .is_some_and(|problem| problem.needs_operator() && !matches!(problem, BrokerError::Topology(_)));
        match self.detail() {
            None => ConditionState::Met,
            Some(detail) if is_misconfigured => ConditionState::Unmet(detail),
            Some(detail) => ConditionState::Degraded(detail),
        }
    }
}

/// A stream of deliveries. It outlives connections: after an outage it continues with the same prefetch.
#[async_trait]
pub trait Deliveries: Send {
    /// The next delivery; `None` after the broker or this stream was closed. Cancel-safe: dropping the future loses no message.
    async fn next(&mut self) -> Option<Delivery>;

    /// Ends the stream: the broker delivers nothing more to it, and prefetched messages go back without counting as
    /// failed attempts ([`Settlement::GiveBack`](super::Settlement::GiveBack)). Deliveries that were received can still
    /// be settled. Dropping a stream does the same in the background.
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
    /// Messages that wait in the queue, without the unsettled ones that consumers hold.
    pub ready: u64,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// The capability to publish.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Publishes a persistent, mandatory message and waits for the publisher confirm.
    async fn publish(&self, queue: &Queue, message: &Message) -> Published;

    /// The name of `queue` at the broker, for [`Message::reply_to`].
    fn address(&self, queue: &Queue) -> String {
        queue.name().to_owned()
    }

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
    fn is_connected(&self) -> bool {
        self.health().is_connected
    }

    /// State of the connections now.
    fn health(&self) -> BrokerHealth;

    /// Ends all streams and connections.
    async fn close(&self);
}

/// A broker shared by the parts of a process.
pub type SharedBroker = Arc<dyn Broker>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_this_process_make_it_not_ready_and_what_all_share_degrades_it() {
        let of = |problem: Option<BrokerError>, blocked: Option<&str>| {
            let health =
                BrokerHealth { is_connected: problem.is_none(), blocked: blocked.map(Into::into), problem };
            health.condition_state()
        };
        assert_eq!(of(None, None), ConditionState::Met);
        for problem in [BrokerError::Credentials, BrokerError::VirtualHost, BrokerError::Tls] {
            assert!(matches!(of(Some(problem("why".into())), None), ConditionState::Unmet(_)));
        }
        for problem in [BrokerError::Unreachable, BrokerError::Topology] {
            assert!(matches!(of(Some(problem("why".into())), None), ConditionState::Degraded(_)));
        }
        let ConditionState::Degraded(alarm) = of(None, Some("low on memory")) else {
            panic!("an alarm degrades");
        };
        assert!(alarm.contains("low on memory"), "{alarm}");
    }
}
