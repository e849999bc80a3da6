//! Gives messages back without counting that as a failed attempt.
//!
//! A quorum queue counts the returns of a message, and RabbitMQ before 4.3 counts a nack like a reject or a lost connection. A
//! message that was given back at two drains would look like one that ended two workers. So the message is published again, at
//! the end of its queue, and acknowledged when the broker has confirmed that. Its failed attempts travel in a header. If the
//! process ends between the two, the message is there twice, which consumers tolerate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::time::Instant;

use super::publisher::Publisher;
use crate::broker::message::Message;
use crate::broker::port::Published;
use crate::retry::Backoff;

/// While a queue is full or the broker blocks publishers, a message is published again for this time. Then it is returned by a
/// nack, which may be counted.
const REPUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives messages back to one queue.
#[derive(Clone)]
pub(super) struct GiveBack {
    publisher: Arc<Publisher>,
    queue: String,
}

impl GiveBack {
    pub(super) fn new(publisher: Arc<Publisher>, queue: String) -> Self {
        Self { publisher, queue }
    }

    /// Name of the queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Gives a delivered message back. `attempts` are its failed attempts in this queue. Returns false if nothing was sent
    /// because the channel was closed; then the broker has requeued the message.
    pub(super) async fn give_back(
        &self,
        acker: &Acker,
        message: &Message,
        attempts: u32,
    ) -> lapin::Result<bool> {
        let earlier_attempts = message.earlier_attempts.saturating_add(attempts);
        let again = Message { earlier_attempts, ..message.clone() };
        if self.republish(acker, &again).await {
            acker.ack(BasicAckOptions::default()).await
        } else {
            acker.nack(BasicNackOptions { requeue: true, multiple: false }).await
        }
    }

    /// Publishes a message until the broker has confirmed it. False if it does not in time, or if the delivery is lost anyway.
    async fn republish(&self, acker: &Acker, message: &Message) -> bool {
        let deadline = Instant::now() + REPUBLISH_TIMEOUT;
        let mut retries = Backoff::REQUEST.retries();
        while acker.usable() {
            let published = self.publisher.publish(self.queue.clone(), message.clone()).await;
            if published == Published::Accepted {
                return true;
            }
            if published == Published::Returned || Instant::now() >= deadline {
                tracing::warn!(?published, job = %message.id, "a message is returned by a nack, which may count against it");
                return false;
            }
            retries.wait().await;
        }
        false
    }
}

impl fmt::Debug for GiveBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GiveBack").field("queue", &self.queue).finish_non_exhaustive()
    }
}
