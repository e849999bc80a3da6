//! The quarantine rule for poison messages, which may end the process that does them.
//!
//! - A job that failed [`QUARANTINE_ATTEMPTS`] times moves to the quarantine queue. Jobs that a worker gave back did not fail.
//! - A worker does a job of the quarantine alone. If the job ends the process, no other job is lost with it.
//! - A job that fails there too is poison: it is answered with an error and goes to the dead letters.
//!
//! A job counts as failed if the process that had it ended without settling it.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Delivery, Message, Publish as _, Published, Queue, Settlement};
use tokio::sync::RwLock;

use super::consuming_period::ConsumingPeriod;
use super::settle::settle;

/// After this many failed attempts, a job moves to the quarantine.
const QUARANTINE_ATTEMPTS: u32 = 2;

/// Pause before a job is tried again that the quarantine does not take, because it is full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Whether a delivery must move to the quarantine.
pub(super) fn must_move(queue: &Queue, delivery: &Delivery) -> bool {
    *queue != Queue::Quarantine && delivery.total_attempts() >= QUARANTINE_ATTEMPTS
}

/// Whether a delivery is poison: it failed in the quarantine.
pub(super) fn is_poison(queue: &Queue, delivery: &Delivery) -> bool {
    *queue == Queue::Quarantine && delivery.attempts > 0
}

/// Moves jobs to the quarantine queue.
pub(super) struct Quarantine {
    publisher: Arc<RetryingPublisher>,
    /// Held for reading while a job moves, until the broker has acted on its settlement. Held for writing before a job
    /// of the quarantine starts, since that job may end the process, and with it the settlements that the broker has
    /// not read.
    moves: RwLock<()>,
}

impl Quarantine {
    pub(super) fn new(publisher: Arc<RetryingPublisher>) -> Self {
        Self { publisher, moves: RwLock::default() }
    }

    /// Moves a job there, and waits until the broker has it in one queue only.
    pub(super) async fn bring(&self, delivery: &Delivery, period: &ConsumingPeriod) {
        let _moving = self.moves.read().await;
        let settlement = self.append(delivery).await;
        if settlement == Settlement::GiveBack {
            // The broker delivers it again at once.
            period.ending.run_until_cancelled(tokio::time::sleep(FULL_PAUSE)).await;
        }
        settle(delivery, settlement).await;
        if let Err(error) = delivery.flush_settlements().await {
            tracing::warn!(%error, job = %delivery.message.id, "the job may be in two queues");
        }
    }

    /// Appends the job to the quarantine queue, where its attempts are counted anew. The message keeps the number of
    /// earlier attempts. Returns how to settle the delivery.
    async fn append(&self, delivery: &Delivery) -> Settlement {
        let attempts = delivery.total_attempts();
        tracing::warn!(job = %delivery.message.id, attempts, "the job goes to quarantine");
        let message = Message { earlier_attempts: attempts, ..delivery.message.clone() };
        match self.publisher.publish(&Queue::Quarantine, &message).await {
            Published::Accepted => Settlement::Ack,
            published => {
                tracing::warn!(?published, "the quarantine does not take the job");
                Settlement::GiveBack
            }
        }
    }

    /// Waits until no job moves.
    pub(super) async fn wait_for_moves(&self) {
        drop(self.moves.write().await);
    }
}
