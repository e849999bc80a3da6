//! RabbitMQ, from 3.10 on: quorum queues, confirms, and a supervisor of its own over lapin.
//!
//! Two connections, one to publish and one to consume, so that a broker that holds publishers back does not hold
//! back acknowledgements. Each is a [`link::Link`], and any failure of a link, of one of its channels too, replaces
//! it as a whole: connection, queues, prefetch, consumers.

mod channels;
mod codec;
mod deliveries;
mod link;
mod links;
mod publisher;
mod settle;
mod subscription;
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

use self::deliveries::{LinkedDeliveries, LinkedReplies, pass_on};
use self::link::{Target, answer};
use self::links::Links;
use self::publisher::Publisher;
use self::subscription::Source;
use self::topology::Topology;
use super::{
    ANNOUNCEMENT_BACKLOG, Broker, BrokerError, BrokerSettings, Consume, Deliveries, Depth, Message, Publish,
    Published, Queue, Replies,
};
use crate::redact::SecretUrl;
use crate::tls;

/// A client of a RabbitMQ broker. It ends when it is closed or dropped.
pub struct RabbitMqBroker {
    topology: Arc<Topology>,
    publishing: Links,
    consuming: Links,
    publisher: Arc<Publisher>,
    /// Number of the next reply queue. It starts at the clock's milliseconds, so that an instance which comes back
    /// under its name does not use a name twice either.
    next_generation: Arc<AtomicU64>,
    closing: DropGuard,
}

impl RabbitMqBroker {
    /// Starts to connect, in the background.
    ///
    /// # Errors
    /// [`BrokerError::Url`].
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn connect(url: &SecretUrl, settings: &BrokerSettings) -> Result<Self, BrokerError> {
        tls::install_provider();
        let topology = Arc::new(Topology::new(settings));
        let target = Target::new(url, Arc::clone(&topology))?;
        let closing = CancellationToken::new();
        let publishing = Links::start(target.clone(), "faceline publish", closing.clone());
        let consuming = Links::start(target, "faceline consume", closing.clone());
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

    async fn announce(&self, body: Bytes) {
        let message =
            Message { id: Uuid::now_v7(), reply_to: None, expiration: None, earlier_attempts: 0, body };
        self.publisher.announce(self.topology.announcements().into(), &message).await;
    }
}

#[async_trait]
impl Consume for RabbitMqBroker {
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Box<dyn Deliveries> {
        let queue = self.topology.queue(queue);
        let source = move || Source::Queue { queue: queue.clone(), prefetch };
        Box::new(LinkedDeliveries::new(self.consuming.clone(), source))
    }

    async fn replies(&self, instance: &str) -> Box<dyn Replies> {
        let (topology, next_generation) = (Arc::clone(&self.topology), Arc::clone(&self.next_generation));
        let instance = instance.to_owned();
        let source = move || {
            let generation = next_generation.fetch_add(1, Ordering::Relaxed);
            Source::Exclusive { queue: topology.reply_queue(&instance, generation), exchange: None }
        };
        Box::new(LinkedReplies::new(LinkedDeliveries::new(self.consuming.clone(), source)))
    }

    async fn announcements(&self) -> mpsc::Receiver<Bytes> {
        let exchange = self.topology.announcements();
        let source = move || Source::Exclusive {
            queue: format!("{exchange}.{}", Uuid::now_v7()),
            exchange: Some(exchange.clone()),
        };
        let (sender, receiver) = mpsc::channel(ANNOUNCEMENT_BACKLOG);
        let announcements = LinkedDeliveries::new(self.consuming.clone(), source);
        tokio::spawn(pass_on(announcements, sender));
        receiver
    }
}

#[async_trait]
impl Broker for RabbitMqBroker {
    async fn depth(&self, queue: &Queue) -> Result<Depth, BrokerError> {
        let link = self.consuming.now().await?;
        let declared = async {
            // A queue that is not there closes the channel, and no other is to suffer.
            let channel = link.channel().await?;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(self.topology.queue(queue).into(), options, FieldTable::default()).await
        };
        match answer(declared).await {
            Ok(queue) => {
                Ok(Depth { ready: queue.message_count().into(), consumers: queue.consumer_count().into() })
            }
            Err(error) if error.is_amqp_soft_error() => Err(BrokerError::Topology(error.to_string())),
            Err(error) => Err(BrokerError::Unreachable(error.to_string())),
        }
    }

    fn is_connected(&self) -> bool {
        self.publishing.is_up() && self.consuming.is_up()
    }

    async fn close(&self) {
        self.closing.token().cancel();
        tokio::join!(self.publishing.closed(), self.consuming.closed());
    }
}
