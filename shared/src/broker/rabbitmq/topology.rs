//! The queues at the broker.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use tokio::sync::Mutex;

use super::link::Link;
use crate::broker::{BrokerSettings, DEAD_LETTER_TTL, DELIVERY_LIMIT, Queue, Topology as Mode, reply_queue};

/// Names and arguments of what is declared.
pub(super) struct Topology {
    mode: Mode,
    prefix: String,
    max_length: i64,
    max_length_bytes: i64,
    dead_letter_max_length: i64,
    /// Two declarations of one queue at the same time can fail each other.
    declaring: Mutex<()>,
}

impl Topology {
    pub(super) fn new(settings: &BrokerSettings) -> Self {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            mode: settings.topology,
            prefix: settings.prefix.clone(),
            max_length: signed(settings.max_length),
            max_length_bytes: signed(settings.max_length_bytes),
            dead_letter_max_length: signed(settings.dead_letter_max_length),
            declaring: Mutex::default(),
        }
    }

    /// Name of a queue at the broker. A reply queue's name is whole already.
    pub(super) fn queue(&self, queue: &Queue) -> String {
        match queue {
            Queue::Reply(name) => name.clone(),
            Queue::Interactive | Queue::Replay | Queue::Quarantine | Queue::Results | Queue::DeadLetters => {
                format!("{}{}", self.prefix, queue.name())
            }
        }
    }

    pub(super) fn reply_queue(&self, instance: &str, generation: u64) -> String {
        format!("{}{}", self.prefix, reply_queue(instance, generation))
    }

    /// The exchange that carries announcements to all who listen.
    pub(super) fn announcements(&self) -> String {
        format!("{}faceline.announcements", self.prefix)
    }

    /// Declares the queues, or makes sure that they are there.
    pub(super) async fn assert(&self, link: &Link) -> lapin::Result<()> {
        let _one_at_a_time = self.declaring.lock().await;
        let channel = link.channel().await?;
        for queue in Queue::DURABLE {
            self.assert_queue(&channel, &queue).await?;
        }
        let options = ExchangeDeclareOptions {
            passive: self.mode == Mode::Passive,
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let name = self.announcements().into();
        channel.exchange_declare(name, ExchangeKind::Fanout, options, FieldTable::default()).await
    }

    async fn assert_queue(&self, channel: &Channel, queue: &Queue) -> lapin::Result<()> {
        let options = QueueDeclareOptions {
            passive: self.mode == Mode::Passive,
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel.queue_declare(self.queue(queue).into(), options, self.arguments(queue)).await.map(drop)
    }

    fn arguments(&self, queue: &Queue) -> FieldTable {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let arguments = if *queue == Queue::DeadLetters {
            let ttl = i64::try_from(DEAD_LETTER_TTL.as_millis()).unwrap_or(i64::MAX);
            vec![
                ("x-max-length", self.dead_letter_max_length.into()),
                ("x-overflow", text("drop-head")),
                ("x-message-ttl", ttl.into()),
            ]
        } else {
            vec![
                ("x-max-length", self.max_length.into()),
                ("x-max-length-bytes", self.max_length_bytes.into()),
                ("x-overflow", text("reject-publish")),
                ("x-delivery-limit", i64::from(DELIVERY_LIMIT).into()),
                ("x-dead-letter-exchange", text("")),
                ("x-dead-letter-routing-key", text(&self.queue(&Queue::DeadLetters))),
            ]
        };
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), text("quorum"));
        for (name, value) in arguments {
            table.insert(name.into(), value);
        }
        table
    }
}
