//! Estimates whether workers can judge one more video in time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use faceline_shared::broker::{Depth, Queue, SharedBroker};
use tokio::time::{Instant, timeout};

use crate::fault::{BusyCause, Fault};

/// Estimate of a worker's time for a replay before the first measurement.
const FIRST_ESTIMATE: Duration = Duration::from_secs(10);
/// Weight of the newest measurement in the mean.
const WEIGHT: f64 = 0.1;
/// Time for which a known depth of the queue is used before the broker is asked again.
const DEPTH_MAX_AGE: Duration = Duration::from_secs(1);
/// Time limit for the broker's answer.
const DEPTH_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum of `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The workers' capacity for videos, as one gateway estimates it.
pub(super) struct JudgingCapacity {
    /// A video must be judged within this time.
    deadline: Duration,
    /// Exponentially weighted mean of the time that a worker takes for a video.
    mean: Mutex<Duration>,
    depth: tokio::sync::Mutex<Option<(Instant, Option<Depth>)>>,
}

impl JudgingCapacity {
    pub(super) fn new(deadline: Duration) -> Self {
        Self { deadline, mean: Mutex::new(FIRST_ESTIMATE), depth: tokio::sync::Mutex::default() }
    }

    /// Adds to the mean that a worker took the time `service` for a video.
    pub(super) fn note(&self, service: Duration) {
        let mut mean = self.mean.lock().unwrap_or_else(PoisonError::into_inner);
        *mean = mean.mul_f64(1.0 - WEIGHT) + service.mul_f64(WEIGHT);
    }

    /// Checks whether a video will be judged in time after those in the queue and `uploading` others.
    ///
    /// If the queue has no consumer, the estimate assumes one worker. While the broker is unavailable no upload is refused:
    /// the outbox keeps the jobs.
    ///
    /// # Errors
    /// [`Fault::Busy`] with the time until the queue is short enough.
    pub(super) async fn check(&self, broker: &SharedBroker, uploading: usize) -> Result<(), Fault> {
        match self.depth(broker).await {
            Some(depth) => self.check_depth(depth, uploading),
            None => Ok(()),
        }
    }

    fn check_depth(&self, depth: Depth, uploading: usize) -> Result<(), Fault> {
        let ahead = depth.ready + uploading as u64;
        let mean = *self.mean.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = mean.mul_f64(ahead as f64 / depth.consumers.max(1) as f64);
        let excess = (wait + mean).saturating_sub(self.deadline);
        // With no other video ahead, a video is accepted even if judging it takes longer than the deadline.
        if ahead == 0 || excess.is_zero() {
            return Ok(());
        }
        Err(Fault::busy(BusyCause::Wait, excess.clamp(Duration::from_secs(1), MAX_RETRY_AFTER)))
    }

    /// The depth of the queue; `None` if the broker does not report it in time.
    async fn depth(&self, broker: &SharedBroker) -> Option<Depth> {
        let mut known = self.depth.lock().await;
        if let Some((asked, depth)) = *known
            && asked.elapsed() < DEPTH_MAX_AGE
        {
            return depth;
        }
        let depth = timeout(DEPTH_TIMEOUT, broker.depth(&Queue::Replay)).await;
        let depth = depth.ok().and_then(Result::ok);
        *known = Some((Instant::now(), depth));
        depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(capacity: &JudgingCapacity, ready: u64, consumers: u64, uploading: usize) -> Option<u64> {
        let checked = capacity.check_depth(Depth { ready, consumers }, uploading);
        checked.err().map(|fault| fault.retry_after_seconds().unwrap())
    }

    #[test]
    fn as_many_videos_are_taken_as_are_judged_in_time() {
        let capacity = JudgingCapacity::new(Duration::from_secs(120));
        assert_eq!(retry_after(&capacity, 11, 1, 0), None);
        assert_eq!(retry_after(&capacity, 12, 1, 0), Some(10));
        assert_eq!(retry_after(&capacity, 6, 1, 6), Some(10), "uploads in progress count");
        assert_eq!(retry_after(&capacity, 23, 2, 0), Some(5), "two workers do twice as much");
        assert_eq!(retry_after(&capacity, 11, 0, 0), None, "a worker may come");
        assert_eq!(retry_after(&capacity, 1_000_000, 1, 0), Some(300));
    }

    #[test]
    fn the_estimate_follows_what_workers_need() {
        let capacity = JudgingCapacity::new(Duration::from_secs(120));
        for _ in 0..100 {
            capacity.note(Duration::from_secs(2));
        }
        assert_eq!(retry_after(&capacity, 55, 1, 0), None);
        assert!(retry_after(&capacity, 65, 1, 0).is_some());
        for _ in 0..100 {
            capacity.note(Duration::from_secs(1000));
        }
        assert_eq!(retry_after(&capacity, 0, 1, 0), None, "an idle worker takes one");
        assert!(retry_after(&capacity, 1, 1, 0).is_some());
    }
}
