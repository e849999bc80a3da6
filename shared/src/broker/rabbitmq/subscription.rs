//! A consumer on one connection. It has its own channel and therefore its own prefetch.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::runtime::Handle;

use super::codec;
use super::connection::BrokerConnection;
use super::settle::RabbitMqSettle;
use crate::broker::delivery::Delivery;
use crate::broker::message::Message;

/// Announcements that wait at the broker for one process. Beyond that, the broker drops the oldest.
const MAX_QUEUED_ANNOUNCEMENTS: i64 = 10_000;

/// The queue that a subscription consumes.
#[derive(Clone, Debug)]
pub(super) enum ConsumeSource {
    /// A declared queue, whose deliveries are settled.
    Queue {
        queue: String,
        /// Maximum number of unsettled deliveries.
        prefetch: u16,
    },
    /// A new exclusive queue, which the broker deletes with the connection. So its deliveries need no acknowledgement.
    Exclusive {
        queue: String,
        /// An exchange to bind the queue to.
        exchange: Option<String>,
    },
}

impl ConsumeSource {
    /// Sets the prefetch, or declares and binds the exclusive queue. Returns the queue's name.
    async fn open(&self, channel: &Channel) -> lapin::Result<&str> {
        match self {
            Self::Queue { queue, prefetch } => {
                // AMQP takes 0 as unlimited.
                channel.basic_qos((*prefetch).max(1), BasicQosOptions::default()).await?;
                Ok(queue)
            }
            Self::Exclusive { queue, exchange } => {
                let options =
                    QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
                channel.queue_declare(queue.as_str().into(), options, self.arguments()).await?;
                if let Some(exchange) = exchange {
                    let (queue, exchange) = (queue.as_str().into(), exchange.as_str().into());
                    let options = QueueBindOptions::default();
                    channel.queue_bind(queue, exchange, "".into(), options, FieldTable::default()).await?;
                }
                Ok(queue)
            }
        }
    }
}

impl ConsumeSource {
    /// The arguments of an exclusive queue. The announcements of a process that does not take them are bounded: they
    /// are best effort. Replies are bounded by the jobs that their gateway has in flight, and none may be dropped.
    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        if matches!(self, Self::Exclusive { exchange: Some(_), .. }) {
            arguments.insert("x-max-length".into(), MAX_QUEUED_ANNOUNCEMENTS.into());
        }
        arguments
    }
}

pub(super) struct Subscription {
    connection: Arc<BrokerConnection>,
    channel: Channel,
    consumer: Consumer,
    needs_settlement: bool,
    runtime: Handle,
}

impl Subscription {
    pub(super) async fn open(
        connection: Arc<BrokerConnection>,
        source: &ConsumeSource,
    ) -> lapin::Result<Self> {
        let channel = connection.channel().await?;
        let queue = source.open(&channel).await?.into();
        let needs_settlement = matches!(source, ConsumeSource::Queue { .. });
        let options = BasicConsumeOptions { no_ack: !needs_settlement, ..Default::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok(Self { connection, channel, consumer, needs_settlement, runtime: Handle::current() })
    }

    /// Name of the queue.
    pub(super) fn queue(&self) -> String {
        self.consumer.queue().as_str().to_owned()
    }

    /// The next message of a queue, to be settled; `None` if the connection failed.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let (message, attempts, acker) = self.receive().await?;
        let settle = RabbitMqSettle::new(acker, self.channel.clone(), Arc::clone(&self.connection));
        Some(Delivery::new(message, attempts, Box::new(settle)))
    }

    /// The next message of an exclusive queue; `None` if the connection failed.
    pub(super) async fn next_message(&mut self) -> Option<Message> {
        self.receive().await.map(|(message, ..)| message)
    }

    /// The next message, its failed attempts, and the handle that settles it.
    async fn receive(&mut self) -> Option<(Message, u32, Acker)> {
        loop {
            let next = tokio::select! {
                biased;
                _ = self.connection.failed() => return None,
                next = self.consumer.next() => next,
            };
            let mut delivery = match next {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => {
                    self.connection.fail(&error);
                    return None;
                }
                None => {
                    self.connection.fail(&"the broker cancelled a consumer");
                    return None;
                }
            };
            if self.needs_settlement && !delivery.acker.usable() {
                continue;
            }
            if let Some((message, attempts)) = codec::message(&mut delivery) {
                return Some((message, attempts, delivery.acker));
            }
            tracing::warn!(queue = %self.consumer.queue(), "a message that faceline did not publish is dropped");
            if self.needs_settlement {
                // It becomes a dead letter. An error means that the connection failed, which the next iteration
                // notices.
                let _ = delivery.acker.reject(BasicRejectOptions { requeue: false }).await;
            }
        }
    }
}

impl Drop for Subscription {
    /// Requeues messages that were prefetched and not received. Deliveries that were received keep the channel open.
    fn drop(&mut self) {
        let (channel, mut consumer, connection) =
            (self.channel.clone(), self.consumer.clone(), Arc::clone(&self.connection));
        let needs_settlement = self.needs_settlement;
        self.runtime.spawn(async move {
            // An error means that the connection failed, and the broker requeues everything by itself.
            let _ = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
            while needs_settlement && let Some(Ok(delivery)) = consumer.next().await {
                let _ = delivery.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await;
            }
            drop(connection);
        });
    }
}
