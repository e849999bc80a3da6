//! A publisher that retries while an outcome is unknown.
//!
//! If a publisher confirm is missing, the message may be stored or not. Publishing it again under the same id is safe,
//! because the gateway drops second results of a job. The adapter uses a fresh channel for it. A circuit breaker stops publishing
//! while nothing is confirmed at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::circuit_breaker::CircuitBreaker;
use super::message::Message;
use super::port::{Publish, Published};
use super::queue::Queue;

/// A message with an unknown outcome is published again at most this many times.
const MAX_RETRIES: u32 = 2;

/// Publishes a message up to three times while its outcome is unknown.
///
/// The outcome is [`Published::Unreachable`] while the circuit breaker is open. [`Published::Unknown`] means that the
/// message may be stored after all attempts.
pub struct RetryingPublisher {
    publisher: Arc<dyn Publish>,
    breaker: Mutex<CircuitBreaker>,
}

impl RetryingPublisher {
    /// Retries what `publisher` publishes.
    #[must_use]
    pub fn new(publisher: Arc<dyn Publish>) -> Self {
        Self { publisher, breaker: Mutex::default() }
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self, queue: &Queue, message: &Message) -> Published {
        if !self.breaker().allows(Instant::now()) {
            return Published::Unreachable;
        }
        let outcome = self.publisher.publish(queue, message).await;
        self.breaker().record(outcome, Instant::now());
        outcome
    }
}

#[async_trait]
impl Publish for RetryingPublisher {
    async fn publish(&self, queue: &Queue, message: &Message) -> Published {
        let first = self.attempt(queue, message).await;
        if first != Published::Unknown {
            return first;
        }
        for _ in 0..MAX_RETRIES {
            match self.attempt(queue, message).await {
                Published::Unknown => (),
                known @ (Published::Accepted | Published::Returned) => return known,
                // A retry is useless now, and an earlier attempt may have stored the message.
                Published::Full | Published::Blocked | Published::Unreachable => return Published::Unknown,
            }
        }
        Published::Unknown
    }

    fn address(&self, queue: &Queue) -> String {
        self.publisher.address(queue)
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
    use crate::broker::circuit_breaker::{MAX_UNKNOWNS_IN_A_ROW, PROBE_INTERVAL};

    /// Returns the listed outcomes and then `Unknown`; records the ids.
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

    fn script(outcomes: &[Published]) -> (Arc<Script>, RetryingPublisher) {
        let outcomes = Mutex::new(outcomes.iter().copied().collect());
        let script = Arc::new(Script { outcomes, ids: Mutex::default() });
        (Arc::clone(&script), RetryingPublisher::new(script))
    }

    async fn publish(publisher: &RetryingPublisher) -> Published {
        let message = Message {
            id: Uuid::now_v7(),
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: Bytes::new(),
        };
        publisher.publish(&Queue::Interactive, &message).await
    }

    #[tokio::test]
    async fn the_unknown_is_published_again_under_the_same_id() {
        use Published::{Accepted, Blocked, Full, Returned, Unknown, Unreachable};
        let cases: [(&[Published], Published, usize); 10] = [
            (&[Accepted], Accepted, 1),
            (&[Full], Full, 1),
            (&[Unreachable], Unreachable, 1),
            (&[Blocked], Blocked, 1),
            (&[Unknown, Blocked], Unknown, 2),
            (&[Unknown, Accepted], Accepted, 2),
            (&[Unknown, Unknown, Accepted], Accepted, 3),
            (&[Unknown, Unknown, Unknown, Accepted], Unknown, 3),
            (&[Unknown, Full], Unknown, 2),
            (&[Unknown, Returned], Returned, 2),
        ];
        for (outcomes, expected, attempts) in cases {
            let (script, publisher) = script(outcomes);
            assert_eq!(publish(&publisher).await, expected, "{outcomes:?}");
            let ids = script.ids.lock().unwrap().clone();
            assert_eq!(ids, vec![ids[0]; attempts], "{outcomes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_ten_unknowns_one_publish_a_second_is_let_through() {
        let (script, publisher) = script(&[]);
        let attempts = || script.ids.lock().unwrap().len();
        while attempts() < MAX_UNKNOWNS_IN_A_ROW as usize {
            assert_eq!(publish(&publisher).await, Published::Unknown);
        }
        for seconds in 0..3 {
            let before = attempts();
            for _ in 0..5 {
                publish(&publisher).await;
            }
            assert_eq!(attempts(), before + usize::from(seconds > 0), "after {seconds} s");
            tokio::time::advance(PROBE_INTERVAL).await;
        }

        script.outcomes.lock().unwrap().push_back(Published::Accepted);
        assert_eq!(publish(&publisher).await, Published::Accepted);
        script.outcomes.lock().unwrap().extend([Published::Accepted; 3]);
        for _ in 0..3 {
            assert_eq!(publish(&publisher).await, Published::Accepted);
        }
    }
}
