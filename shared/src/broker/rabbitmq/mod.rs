//! The adapter for RabbitMQ, from version 3.10 on: quorum queues, publisher confirms, and a supervisor over lapin.
//!
//! There are two connections, one for publishing and one for consuming. So when the broker blocks publishers (a memory
//! or disk alarm), acknowledgements still pass. A failure of a connection, or of any of its channels, replaces the
//! connection as a whole: its queues are declared and its consumers subscribed again (`supervisor.rs`).

mod address;
mod channels;
mod codec;
mod connection;
mod deliveries;
mod give_back;
mod inspection;
mod problem;
mod publisher;
mod settle;
mod subscription;
mod supervisor;
mod tls;
mod topology;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use self::address::Cluster;
use self::connection::with_response_timeout;
use self::deliveries::{ReconnectingDeliveries, ReconnectingReplies, forward_announcements};
use self::give_back::GiveBack;
pub use self::inspection::{
    DeadLetter, DeadLetters, Inspection, LetterKind, NotRequeued, QueueState, RequeueError, RoundTrip,
};
use self::problem::ProblemLog;
use self::publisher::Publisher;
use self::subscription::ConsumeSource;
use self::supervisor::ConnectionSupervisor;
use self::topology::Topology;
use super::message::Message;
use super::port::{
    Broker, BrokerError, BrokerHealth, Consume, Deliveries, Depth, MAX_WAITING_ANNOUNCEMENTS, Publish,
    Published, Replies,
};
use super::queue::Queue;
use crate::redact::SecretUrl;
use crate::settings::BrokerSettings;

/// A client of RabbitMQ. Closing or dropping it ends its connections.
pub struct RabbitMqBroker {
    topology: Arc<Topology>,
    publishing: ConnectionSupervisor,
    consuming: ConnectionSupervisor,
    publisher: Arc<Publisher>,
    /// Generation of the next reply queue. It starts at the clock's milliseconds, so an instance that restarts under
    /// the same name does not reuse a queue's name.
    next_generation: Arc<AtomicU64>,
    closing: DropGuard,
}

impl RabbitMqBroker {
    /// Connects to one of the nodes at `urls`, in the background.
    ///
    /// # Errors
    /// [`BrokerError::Url`]: a URL cannot be parsed; [`BrokerError::Tls`]: a file of `broker.tls` is unusable.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn connect(urls: &[SecretUrl], settings: &BrokerSettings) -> Result<Self, BrokerError> {
        crate::tls::install_provider();
        let topology = Arc::new(Topology::new(settings));
        let cluster = Cluster::new(urls, &settings.tls)?;
        let closing = CancellationToken::new();
        let problems = Arc::new(ProblemLog::default());
        let supervisor = |name| {
            let (cluster, topology) = (cluster.clone(), Arc::clone(&topology));
            ConnectionSupervisor::start(cluster, topology, name, Arc::clone(&problems), closing.clone())
        };
        let (publishing, consuming) = (supervisor("faceline publish"), supervisor("faceline consume"));
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as u64);
        Ok(Self {
            topology,
            publisher: Arc::new(Publisher::new(publishing.clone(), settings.confirm_timeout)),
            publishing,
            consuming,
            next_generation: Arc::new(AtomicU64::new(now)),
            closing: closing.drop_guard(),
        })
    }
}

#[async_trait]
impl Publish for RabbitMqBroker {
    async fn publish(&self, queue: &Queue, message: &Message) -> Published {
        self.publisher.publish(self.topology.queue(queue), message.clone()).await
    }

    fn address(&self, queue: &Queue) -> String {
        self.topology.queue(queue)
    }

    async fn announce(&self, body: Bytes) {
        let message =
            Message { id: Uuid::now_v7(), reply_to: None, expiration: None, earlier_attempts: 0, body };
        self.publisher.announce(self.topology.announcement_exchange().into(), &message).await;
    }
}

#[async_trait]
impl Consume for RabbitMqBroker {
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Box<dyn Deliveries> {
        let give_back = GiveBack::new(Arc::clone(&self.publisher), self.topology.queue(queue));
        let source = move || ConsumeSource::Queue { give_back: give_back.clone(), prefetch };
        Box::new(ReconnectingDeliveries::new(self.consuming.clone(), source))
    }

    async fn replies(&self, instance: &str) -> Box<dyn Replies> {
        let (topology, next_generation) = (Arc::clone(&self.topology), Arc::clone(&self.next_generation));
        let instance = instance.to_owned();
        let source = move || {
            let generation = next_generation.fetch_add(1, Ordering::Relaxed);
            ConsumeSource::Exclusive { queue: topology.reply_queue(&instance, generation), exchange: None }
        };
        Box::new(ReconnectingReplies::new(ReconnectingDeliveries::new(self.consuming.clone(), source)))
    }

    async fn announcements(&self) -> mpsc::Receiver<Bytes> {
        let exchange = self.topology.announcement_exchange();
        let source = move || ConsumeSource::Exclusive {
            queue: format!("{exchange}.{}", Uuid::now_v7()),
            exchange: Some(exchange.clone()),
        };
        let (sender, receiver) = mpsc::channel(MAX_WAITING_ANNOUNCEMENTS);
        let announcements = ReconnectingDeliveries::new(self.consuming.clone(), source);
        tokio::spawn(forward_announcements(announcements, sender));
        receiver
    }
}

#[async_trait]
impl Broker for RabbitMqBroker {
    async fn depth(&self, queue: &Queue) -> Result<Depth, BrokerError> {
        let connection = self.consuming.current().await?;
        let declared = async {
            // A channel of its own, because the broker closes it if the queue does not exist.
            let channel = connection.channel().await?;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(self.topology.queue(queue).into(), options, FieldTable::default()).await
        };
        match with_response_timeout(declared).await {
            Ok(queue) => {
                Ok(Depth { ready: queue.message_count().into(), consumers: queue.consumer_count().into() })
            }
            Err(error) if error.is_amqp_soft_error() => Err(BrokerError::Topology(error.to_string())),
            Err(error) => Err(BrokerError::Unreachable(error.to_string())),
        }
    }

    fn health(&self) -> BrokerHealth {
        BrokerHealth {
            is_connected: self.publishing.is_up() && self.consuming.is_up(),
            blocked: self.publishing.blocked_reason(),
            problem: self.publishing.problem().or_else(|| self.consuming.problem()),
        }
    }

    async fn close(&self) {
        self.closing.token().cancel();
        tokio::join!(self.publishing.closed(), self.consuming.closed());
    }
}
