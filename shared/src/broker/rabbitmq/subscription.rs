//! A consumer on one connection. It has its own channel and therefore its own prefetch.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::runtime::Handle;

use super::codec;
use super::connection::{BrokerConnection, with_response_timeout};
use super::give_back::GiveBack;
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
        /// Names the queue, and gives messages back to it.
        give_back: GiveBack,
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
            Self::Queue { give_back, prefetch } => {
                // AMQP takes 0 as unlimited.
                channel.basic_qos((*prefetch).max(1), BasicQosOptions::default()).await?;
                Ok(give_back.queue())
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
    /// Gives messages back; `None` for an exclusive queue, whose messages need no settlement.
    give_back: Option<GiveBack>,
    is_closed: bool,
    runtime: Handle,
}

impl Subscription {
    pub(super) async fn open(
        connection: Arc<BrokerConnection>,
        source: &ConsumeSource,
    ) -> lapin::Result<Self> {
        let channel = connection.channel().await?;
        let queue = source.open(&channel).await?.into();
        let give_back = match source {
            ConsumeSource::Queue { give_back, .. } => Some(give_back.clone()),
            ConsumeSource::Exclusive { .. } => None,
        };
        let options = BasicConsumeOptions { no_ack: give_back.is_none(), ..Default::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok(Self { connection, channel, consumer, give_back, is_closed: false, runtime: Handle::current() })
    }

    /// Name of the queue.
    pub(super) fn queue(&self) -> String {
        self.consumer.queue().as_str().to_owned()
    }

    /// The next message of a queue, to be settled; `None` if the connection failed.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let (message, attempts, acker) = self.receive().await?;
        let (channel, connection) = (self.channel.clone(), Arc::clone(&self.connection));
        let received = (message.clone(), attempts, acker);
        let settle = RabbitMqSettle::new(received, self.give_back.clone()?, channel, connection);
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
            if self.give_back.is_some() && !delivery.acker.usable() {
                continue;
            }
            if let Some((message, attempts)) = codec::message(&mut delivery) {
                return Some((message, attempts, delivery.acker));
            }
            tracing::warn!(queue = %self.consumer.queue(), "a message that faceline did not publish is dropped");
            if self.give_back.is_some() {
                // It becomes a dead letter. An error means that the connection failed, which the next iteration
                // notices.
                let _ = delivery.acker.reject(BasicRejectOptions { requeue: false }).await;
            }
        }
    }
}

impl Subscription {
    /// Stops the deliveries, and gives messages back that were prefetched and not received. Deliveries that were received keep
    /// the channel open.
    pub(super) async fn close(&mut self) {
        end(&self.channel, self.consumer.clone(), self.give_back.as_ref()).await;
        self.is_closed = true;
    }
}

impl Drop for Subscription {
    /// Closes the subscription in the background, as [`Subscription::close`] does.
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        let (channel, consumer, connection) =
            (self.channel.clone(), self.consumer.clone(), Arc::clone(&self.connection));
        let give_back = self.give_back.clone();
        self.runtime.spawn(async move {
            end(&channel, consumer, give_back.as_ref()).await;
            drop(connection);
        });
    }
}

async fn end(channel: &Channel, mut consumer: Consumer, give_back: Option<&GiveBack>) {
    // An error means that the connection failed, and the broker requeues everything by itself.
    let cancelled =
        with_response_timeout(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await;
    let (Some(give_back), Ok(())) = (give_back, cancelled) else { return };
    let mut prefetched = Vec::new();
    while let Some(Ok(delivery)) = consumer.next().await {
        prefetched.push(delivery);
    }
    join_all(prefetched.into_iter().map(async |mut delivery| {
        // An error means the same as above.
        let _ = match codec::message(&mut delivery) {
            Some((message, attempts)) => give_back.give_back(&delivery.acker, &message, attempts).await,
            None => delivery.acker.reject(BasicRejectOptions { requeue: false }).await,
        };
    }))
    .await;
}
