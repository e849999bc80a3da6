//! The queues and the exchange at the broker, with their arguments.

use std::sync::atomic::{AtomicBool, Ordering};

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use tokio::sync::Mutex;

use super::problem::{declaring_failed, is_precondition_failed};
use crate::broker::port::BrokerError;
use crate::broker::queue::{DEAD_LETTER_TTL, DELIVERY_LIMIT, Queue, reply_queue_name};
use crate::settings::{BrokerSettings, TopologyMode};

/// Names and arguments of the queues and the exchange.
pub(super) struct Topology {
    mode: TopologyMode,
    prefix: String,
    max_length: i64,
    max_length_bytes: i64,
    dead_letter_max_length: i64,
    dead_letter_max_length_bytes: i64,
    /// Whether it was logged that the queue of dead letters has other arguments.
    differs: AtomicBool,
    /// Serialises declarations: two concurrent declarations of one queue can make each other fail.
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
            dead_letter_max_length_bytes: signed(settings.dead_letter_max_length_bytes),
            differs: AtomicBool::new(false),
            declaring: Mutex::default(),
        }
    }

    /// Name of a queue at the broker, with the prefix. A reply queue's name contains it already.
    pub(super) fn queue(&self, queue: &Queue) -> String {
        match queue {
            Queue::Reply(name) => name.clone(),
            Queue::Interactive | Queue::Replay | Queue::Quarantine | Queue::Results | Queue::DeadLetters => {
                format!("{}{}", self.prefix, queue.name())
            }
        }
    }

    pub(super) fn reply_queue(&self, instance: &str, generation: u64) -> String {
        format!("{}{}", self.prefix, reply_queue_name(instance, generation))
    }

    /// The fanout exchange that carries announcements to all subscribers.
    pub(super) fn announcement_exchange(&self) -> String {
        format!("{}faceline.announcements", self.prefix)
    }

    /// Declares the queues and the exchange, or checks that they exist (passive).
    ///
    /// # Errors
    /// [`BrokerError::Topology`] if the broker refuses a declaration, [`BrokerError::Unreachable`] if it does not
    /// answer.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), BrokerError> {
        let declared = self.declare_all(connection).await;
        declared.map_err(|error| declaring_failed(&error, self.mode))
    }

    async fn declare_all(&self, connection: &Connection) -> lapin::Result<()> {
        let _one_at_a_time = self.declaring.lock().await;
        let mut channel = connection.create_channel().await?;
        for queue in Queue::DURABLE {
            match self.declare_queue(&channel, &queue, self.mode).await {
                Err(error) if queue == Queue::DeadLetters && is_precondition_failed(&error) => {
                    // The broker has closed the channel.
                    channel = connection.create_channel().await?;
                    self.declare_queue(&channel, &queue, TopologyMode::Passive).await?;
                    self.report_difference(&error);
                }
                declared => drop(declared?),
            }
        }
        let options = ExchangeDeclareOptions {
            passive: self.mode == TopologyMode::Passive,
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let name = self.announcement_exchange().into();
        channel.exchange_declare(name, ExchangeKind::Fanout, options, FieldTable::default()).await
    }

    /// Logs once that the queue of dead letters is used as it is, because no answer depends on its bounds. The
    /// arguments of all other queues decide which messages are lost, so those must be as they are here.
    fn report_difference(&self, error: &lapin::Error) {
        if !self.differs.swap(true, Ordering::Relaxed) {
            let queue = self.queue(&Queue::DeadLetters);
            tracing::warn!(
                %error,
                queue,
                "the queue of dead letters exists with other arguments and is used as it is; bound it by a policy, or \
                 delete it and restart (docs/operations.md, Dead letters)"
            );
        }
    }

    /// The side that declares the queues.
    pub(super) fn mode(&self) -> TopologyMode {
        self.mode
    }

    /// Prefix of all names.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Declares a queue, or checks that it exists (passive).
    pub(super) async fn declare_queue(
        &self,
        channel: &Channel,
        queue: &Queue,
        mode: TopologyMode,
    ) -> lapin::Result<lapin::Queue> {
        let options = QueueDeclareOptions {
            passive: mode == TopologyMode::Passive,
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel.queue_declare(self.queue(queue).into(), options, self.arguments(queue)).await
    }

    /// The arguments of a queue: a bounded quorum queue that refuses publishes when it is full and dead-letters. The
    /// queue of dead letters drops its oldest messages instead.
    fn arguments(&self, queue: &Queue) -> FieldTable {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let arguments = if *queue == Queue::DeadLetters {
            let ttl = i64::try_from(DEAD_LETTER_TTL.as_millis()).unwrap_or(i64::MAX);
            vec![
                ("x-max-length", self.dead_letter_max_length.into()),
                ("x-max-length-bytes", self.dead_letter_max_length_bytes.into()),
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
