//! Jobs that this worker cannot do, but a worker of a newer build or with the right keys can.
//!
//! Such a job goes back to its queue after a pause, which prevents redelivery in a tight loop. If no other worker takes
//! it in half of its time, this worker answers it, while its caller still waits.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use faceline_shared::job::{JobHead, JobId};
use faceline_shared::shutdown::CancellationToken;
use tokio::sync::Semaphore;

/// The first pause of a job. It doubles each time that the job comes back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of a job.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The pause of a job while the maximum number of jobs pauses already. It is long enough to prevent a tight loop, and
/// short enough not to delay other jobs behind it.
const PAUSE_WITHOUT_PLACE: Duration = Duration::from_millis(25);
/// Time after the first delivery of a job at which its entry is removed. It is longer than a job may wait, so a
/// duplicate of an answered job does not start anew.
const ENTRY_TTL: Duration = Duration::from_secs(300);

/// Decision about a deferred job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deferral {
    /// It goes back to its queue.
    GiveBack,
    /// It is answered, because nobody else has taken it in time.
    Answer,
}

/// The jobs that this worker has deferred.
pub(super) struct DeferredJobs {
    jobs: Mutex<HashMap<JobId, DeferredJob>>,
    /// Permits to pause. A pausing job occupies a place of the prefetch, so jobs may pause in half of it only.
    places: Semaphore,
}

#[derive(Clone, Copy)]
struct DeferredJob {
    first: Instant,
    times: u32,
}

impl DeferredJobs {
    /// `prefetch` is the maximum number of unsettled jobs of the worker.
    pub(super) fn new(prefetch: u16) -> Self {
        Self { jobs: Mutex::default(), places: Semaphore::new(usize::from(prefetch / 2).max(1)) }
    }

    /// Pauses with a job, at most until `ending`, or returns [`Deferral::Answer`] if half of its time is over.
    ///
    /// The job's age includes its time in the queue. It compares two machines' clocks and is too small if the gateway's
    /// clock is ahead, so the time since the first delivery to this worker counts as well.
    pub(super) async fn defer(&self, head: &JobHead, ending: &CancellationToken) -> Deferral {
        let left = (head.budget() / 2).saturating_sub(head.age());
        if left.is_zero() {
            return Deferral::Answer;
        }
        let job = self.note(head.id);
        let left = left.min((head.budget() / 2).saturating_sub(job.first.elapsed()));
        if left.is_zero() {
            return Deferral::Answer;
        }
        let place = self.places.try_acquire();
        let pause = match place {
            Ok(_) => FIRST_PAUSE.saturating_mul(1 << job.times.min(10)).min(MAX_PAUSE),
            Err(_) => PAUSE_WITHOUT_PLACE,
        };
        ending.run_until_cancelled(tokio::time::sleep(pause.min(left))).await;
        Deferral::GiveBack
    }

    /// Counts a delivery of the job. Returns the entry from before.
    fn note(&self, id: JobId) -> DeferredJob {
        let mut jobs = self.lock();
        jobs.retain(|_, job| job.first.elapsed() < ENTRY_TTL);
        let job = jobs.entry(id).or_insert_with(|| DeferredJob { first: Instant::now(), times: 0 });
        let before = *job;
        job.times = job.times.saturating_add(1);
        before
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, DeferredJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    /// A job that was published `age` ago.
    fn job(budget: Duration, age: Duration) -> JobHead {
        let published = (SystemTime::now() - age).duration_since(UNIX_EPOCH).unwrap();
        JobHead {
            version: 1,
            id: Uuid::now_v7(),
            budget_ms: budget.as_millis() as u64,
            published_at: published.as_millis() as u64,
        }
    }

    #[tokio::test]
    async fn a_job_is_answered_after_half_its_time_and_paused_before() {
        let (deferred, ending) = (DeferredJobs::new(8), CancellationToken::new());
        let budget = Duration::from_millis(600);
        // By this machine's clock, the job was published in the future.
        let head = JobHead { published_at: u64::MAX, ..job(budget, Duration::ZERO) };
        let started = Instant::now();
        let mut pauses = 0;
        while deferred.defer(&head, &ending).await == Deferral::GiveBack {
            pauses += 1;
        }
        assert!((Duration::from_millis(300)..budget).contains(&started.elapsed()), "{:?}", started.elapsed());
        // 100 ms, and what is left of the other 200 ms.
        assert_eq!(pauses, 2);
        // A duplicate of the job gets no time of its own.
        assert_eq!(deferred.defer(&head, &ending).now_or_never(), Some(Deferral::Answer));
    }

    #[tokio::test]
    async fn a_job_that_waited_for_half_its_time_in_the_queue_is_answered_at_once() {
        let (deferred, ending) = (DeferredJobs::new(8), CancellationToken::new());
        let seconds = Duration::from_secs;
        let late = job(seconds(30), seconds(16));
        assert_eq!(deferred.defer(&late, &ending).now_or_never(), Some(Deferral::Answer));
        let early = job(seconds(30), seconds(14));
        assert_eq!(deferred.defer(&early, &ending).now_or_never(), None);
    }

    #[tokio::test]
    async fn the_end_ends_all_pauses() {
        let (deferred, ending) = (DeferredJobs::new(2), CancellationToken::new());
        let head = job(Duration::from_secs(60), Duration::ZERO);
        let first = deferred.defer(&head, &ending);
        let mut first = std::pin::pin!(first);
        assert_eq!(first.as_mut().now_or_never(), None);
        ending.cancel();
        assert_eq!(first.now_or_never(), Some(Deferral::GiveBack));
    }
}
