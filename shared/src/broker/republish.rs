//! Publishing that does not leave it at an outcome that is unknown.
//!
//! The message is published again, under the same id and on a fresh channel, since who consumes it drops what they
//! have seen. Where nothing is ever confirmed a breaker opens, so that callers do not wait in vain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Message, Publish, Published, Queue};

/// How often a message is published again.
const REPEATS: u32 = 2;

/// Unknown outcomes in a row that open the breaker.
const PATIENCE: u32 = 10;

/// While the breaker is open, one publish in this time is let through to see whether the broker is back.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Opens after [`PATIENCE`] unknown outcomes in a row, and closes at the first outcome that is known.
#[derive(Debug, Default)]
struct Breaker {
    unknowns: u32,
    next_probe: Option<Instant>,
}

impl Breaker {
    fn admits(&mut self, now: Instant) -> bool {
        match self.next_probe {
            None => true,
            Some(due) if due <= now => {
                self.next_probe = Some(now + PROBE_INTERVAL);
                true
            }
            Some(_) => false,
        }
    }

    fn record(&mut self, outcome: Published, now: Instant) {
        match outcome {
            Published::Unknown => {
                self.unknowns += 1;
                if self.unknowns >= PATIENCE && self.next_probe.is_none() {
                    tracing::warn!(self.unknowns, "nothing is confirmed any more");
                    self.next_probe = Some(now + PROBE_INTERVAL);
                }
            }
            Published::Accepted | Published::Full | Published::Returned => *self = Self::default(),
            Published::Unreachable => (),
        }
    }
}

/// Publishes again what may or may not have arrived: twice at most.
///
/// With the breaker open the outcome is [`Published::Unreachable`]; [`Published::Unknown`] means that the message may
/// be at the broker after all that was tried.
pub struct Republisher {
    publisher: Arc<dyn Publish>,
    breaker: Mutex<Breaker>,
}

impl Republisher {
    /// A front of `publisher`.
    #[must_use]
    pub fn new(publisher: Arc<dyn Publish>) -> Self {
        Self { publisher, breaker: Mutex::default() }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self, queue: &Queue, message: &Message) -> Published {
        if !self.breaker().admits(Instant::now()) {
            return Published::Unreachable;
        }
        let outcome = self.publisher.publish(queue, message).await;
        self.breaker().record(outcome, Instant::now());
        outcome
    }
}

#[async_trait]
impl Publish for Republisher {
    async fn publish(&self, queue: &Queue, message: &Message) -> Published {
        let first = self.attempt(queue, message).await;
        if first != Published::Unknown {
            return first;
        }
        for _ in 0..REPEATS {
            match self.attempt(queue, message).await {
                Published::Unknown => (),
                known @ (Published::Accepted | Published::Returned) => return known,
                // Of this one the broker has nothing, of those before we do not know.
                Published::Full | Published::Unreachable => return Published::Unknown,
            }
        }
        Published::Unknown
    }

    async fn announce(&self, body: Bytes) {
        self.publisher.announce(body).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use uuid::Uuid;

    use super::*;

    /// Answers from a list, and then with unknown; notes the ids.
    struct Script {
        outcomes: Mutex<VecDeque<Published>>,
        ids: Mutex<Vec<Uuid>>,
    }

    #[async_trait]
    impl Publish for Script {
        async fn publish(&self, _: &Queue, message: &Message) -> Published {
            self.ids.lock().unwrap().push(message.id);
            self.outcomes.lock().unwrap().pop_front().unwrap_or(Published::Unknown)
        }

        async fn announce(&self, _: Bytes) {}
    }

    fn script(outcomes: &[Published]) -> (Arc<Script>, Republisher) {
        let outcomes = Mutex::new(outcomes.iter().copied().collect());
        let script = Arc::new(Script { outcomes, ids: Mutex::default() });
        (Arc::clone(&script), Republisher::new(script))
    }

    async fn publish(republisher: &Republisher) -> Published {
        let message = Message {
            id: Uuid::now_v7(),
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: Bytes::new(),
        };
        republisher.publish(&Queue::Interactive, &message).await
    }

    #[tokio::test]
    async fn the_unknown_is_published_again_under_the_same_id() {
        use Published::{Accepted, Full, Returned, Unknown, Unreachable};
        let cases: [(&[Published], Published, usize); 8] = [
            (&[Accepted], Accepted, 1),
            (&[Full], Full, 1),
            (&[Unreachable], Unreachable, 1),
            (&[Unknown, Accepted], Accepted, 2),
            (&[Unknown, Unknown, Accepted], Accepted, 3),
            (&[Unknown, Unknown, Unknown, Accepted], Unknown, 3),
            (&[Unknown, Full], Unknown, 2),
            (&[Unknown, Returned], Returned, 2),
        ];
        for (outcomes, expected, attempts) in cases {
            let (script, republisher) = script(outcomes);
            assert_eq!(publish(&republisher).await, expected, "{outcomes:?}");
            let ids = script.ids.lock().unwrap().clone();
            assert_eq!(ids, vec![ids[0]; attempts], "{outcomes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_ten_unknowns_one_publish_a_second_is_let_through() {
        let (script, republisher) = script(&[]);
        let attempts = || script.ids.lock().unwrap().len();
        while attempts() < PATIENCE as usize {
            assert_eq!(publish(&republisher).await, Published::Unknown);
        }
        for seconds in 0..3 {
            let before = attempts();
            for _ in 0..5 {
                publish(&republisher).await;
            }
            assert_eq!(attempts(), before + usize::from(seconds > 0), "after {seconds} s");
            tokio::time::advance(PROBE_INTERVAL).await;
        }

        script.outcomes.lock().unwrap().push_back(Published::Accepted);
        assert_eq!(publish(&republisher).await, Published::Accepted);
        script.outcomes.lock().unwrap().extend([Published::Accepted; 3]);
        for _ in 0..3 {
            assert_eq!(publish(&republisher).await, Published::Accepted);
        }
    }
}
