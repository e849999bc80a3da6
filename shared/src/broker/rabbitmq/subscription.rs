//! A consumer on one link, with a channel and so a prefetch of its own.

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
use super::link::Link;
use super::settle::Tag;
use crate::broker::{Delivery, Message};

/// What is consumed.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A queue that is there.
    Queue {
        queue: String,
        /// Messages at hand that are not settled.
        prefetch: u16,
    },
    /// A new queue of this connection alone, which loses its messages with it. So they are not acknowledged.
    Exclusive {
        queue: String,
        /// Exchange that it hears.
        exchange: Option<String>,
    },
}

impl Source {
    /// Makes the channel ready to consume, sees to it that there is such a queue, and names it.
    async fn open(&self, channel: &Channel) -> lapin::Result<&str> {
        match self {
            Self::Queue { queue, prefetch } => {
                // 0 would be no bound at all.
                channel.basic_qos((*prefetch).max(1), BasicQosOptions::default()).await?;
                Ok(queue)
            }
            Self::Exclusive { queue, exchange } => {
                let options =
                    QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
                channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await?;
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

pub(super) struct Subscription {
    link: Arc<Link>,
    channel: Channel,
    consumer: Consumer,
    acknowledges: bool,
    runtime: Handle,
}

impl Subscription {
    pub(super) async fn open(link: Arc<Link>, source: &Source) -> lapin::Result<Self> {
        let channel = link.channel().await?;
        let queue = source.open(&channel).await?.into();
        let acknowledges = matches!(source, Source::Queue { .. });
        let options = BasicConsumeOptions { no_ack: !acknowledges, ..Default::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok(Self { link, channel, consumer, acknowledges, runtime: Handle::current() })
    }

    /// Name of the queue.
    pub(super) fn queue(&self) -> String {
        self.consumer.queue().as_str().to_owned()
    }

    /// The next message of a queue, to be settled; `None` where the link is to be replaced.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let (message, attempts, acker) = self.receive().await?;
        let tag = Tag::new(acker, self.channel.clone(), Arc::clone(&self.link));
        Some(Delivery::new(message, attempts, Box::new(tag)))
    }

    /// The next message of an exclusive queue; `None` where the link is to be replaced.
    pub(super) async fn next_message(&mut self) -> Option<Message> {
        self.receive().await.map(|(message, ..)| message)
    }

    /// A message, the failed attempts at it, and what settles it.
    async fn receive(&mut self) -> Option<(Message, u32, Acker)> {
        loop {
            let next = tokio::select! {
                biased;
                _ = self.link.failed() => return None,
                next = self.consumer.next() => next,
            };
            let mut delivery = match next {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => {
                    self.link.fail(&error);
                    return None;
                }
                None => {
                    self.link.fail(&"the broker cancelled a consumer");
                    return None;
                }
            };
            if self.acknowledges && !delivery.acker.usable() {
                continue;
            }
            if let Some((message, attempts)) = codec::message(&mut delivery) {
                return Some((message, attempts, delivery.acker));
            }
            tracing::warn!(queue = %self.consumer.queue(), "a message of somebody else's is dropped");
            if self.acknowledges {
                // It goes to the dead letters. An error means that the link has failed, which the next turn sees.
                let _ = delivery.acker.reject(BasicRejectOptions { requeue: false }).await;
            }
        }
    }
}

impl Drop for Subscription {
    /// Gives back what was fetched and not looked at. What is in others' hands keeps its channel.
    fn drop(&mut self) {
        let (channel, mut consumer, link) =
            (self.channel.clone(), self.consumer.clone(), Arc::clone(&self.link));
        let acknowledges = self.acknowledges;
        self.runtime.spawn(async move {
            // Where this fails the broker takes everything back by itself.
            let _ = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
            while acknowledges && let Some(Ok(delivery)) = consumer.next().await {
                let _ = delivery.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await;
            }
            drop(link);
        });
    }
}
