//! Gives messages back without counting that as a failed attempt.
//!
//! A quorum queue counts the returns of a message, and RabbitMQ before 4.3 counts a nack like a reject or a lost
//! connection. A message that was given back at two drains would look like one that ended two workers. So the message
//! is published again, at the end of its queue, and acknowledged when the broker has confirmed that. A header carries
//! its failed attempts. If the process ends in between, the queue holds the message twice, which consumers tolerate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::time::timeout;

use super::publisher::Publisher;
use crate::broker::message::Message;
use crate::broker::port::Published;
use crate::retry::Backoff;

/// Time limit for publishing a message again, confirms included, while its queue is full or the broker blocks
/// publishers. After that, a nack returns it, which RabbitMQ before 4.3 counts. A worker that stops waits 5 s for this,
/// because every RabbitMQ counts a connection that ends before the nack.
const REPUBLISH_TIMEOUT: Duration = Duration::from_secs(3);

/// Each publish with an unknown outcome may have stored a copy, so after this many a message is not published again.
const MAX_UNKNOWNS: u32 = 2;

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
        let publish = || self.publisher.publish(self.queue.clone(), again.clone());
        if republish(|| acker.usable(), publish).await {
            acker.ack(BasicAckOptions::default()).await
        } else {
            if acker.usable() {
                tracing::warn!(job = %message.id, "a message is returned by a nack, which RabbitMQ before 4.3 counts");
            }
            acker.nack(BasicNackOptions { requeue: true, multiple: false }).await
        }
    }
}

impl fmt::Debug for GiveBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GiveBack").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Publishes a message until the broker has confirmed it. Returns false if the broker does not confirm in time, if it
/// has no such queue, after [`MAX_UNKNOWNS`] unknown outcomes, or if the delivery is lost.
async fn republish<F>(is_held: impl Fn() -> bool, mut publish: impl FnMut() -> F) -> bool
where
    F: Future<Output = Published>,
{
    let attempts = async {
        let mut retries = Backoff::REQUEST.retries();
        let mut unknowns = 0;
        while is_held() {
            match publish().await {
                Published::Accepted => return true,
                Published::Returned => return false,
                Published::Unknown => {
                    unknowns += 1;
                    if unknowns == MAX_UNKNOWNS {
                        return false;
                    }
                }
                Published::Full | Published::Blocked | Published::Unreachable => (),
            }
            retries.wait().await;
        }
        false
    };
    timeout(REPUBLISH_TIMEOUT, attempts).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    /// Republishes with these outcomes, of which the last repeats. Returns whether that succeeded, and how often it published.
    async fn republish_with(outcomes: &[Published]) -> (bool, usize) {
        let mut published = 0;
        let publish = || {
            published += 1;
            ready(outcomes[(published - 1).min(outcomes.len() - 1)])
        };
        (republish(|| true, publish).await, published)
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_published_until_the_broker_takes_it() {
        use Published::{Accepted, Blocked, Full, Returned, Unknown, Unreachable};
        assert_eq!(republish_with(&[Full, Blocked, Unreachable, Accepted]).await, (true, 4));
        assert_eq!(republish_with(&[Returned]).await, (false, 1));
        // A message that the broker may have stored is published once more.
        assert_eq!(republish_with(&[Unknown, Unreachable, Accepted]).await, (true, 3));
        assert_eq!(republish_with(&[Unknown]).await, (false, 2));
        assert_eq!(republish_with(&[Unknown, Full, Unknown]).await, (false, 3));
        assert!(!republish(|| false, || ready(Accepted)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_and_a_missing_confirm_end_in_time() {
        // Timers of tokio have a resolution of 1 ms.
        let in_time = REPUBLISH_TIMEOUT..REPUBLISH_TIMEOUT + Duration::from_millis(10);
        let started = Instant::now();
        let (is_republished, published) = republish_with(&[Published::Full]).await;
        assert!(!is_republished && published > 3, "{published}");
        assert!(in_time.contains(&started.elapsed()), "{:?}", started.elapsed());

        let started = Instant::now();
        assert!(!republish(|| true, pending).await);
        assert!(in_time.contains(&started.elapsed()), "{:?}", started.elapsed());
    }
}
