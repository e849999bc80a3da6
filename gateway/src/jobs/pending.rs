//! The map of pending jobs: published, and not answered yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::broker::{Message, Queue};
use faceline_shared::job::{JobId, Outcome};
use prometheus::IntGauge;
use tokio::sync::{oneshot, watch};

/// Time after a job's deadline at which the broker dead-letters its message if no worker has taken it. Workers drop
/// expired jobs themselves, so this matters only while there are no workers.
const EXPIRATION_GRACE: Duration = Duration::from_secs(60);

/// A worker's answer.
#[derive(Debug)]
pub(super) struct WorkerAnswer {
    /// The job's outcome; `None` if this gateway's keys do not open the answer.
    pub(super) outcome: Option<Outcome>,
    /// Time that the worker spent on the job.
    pub(super) service: Duration,
}

/// A job with everything that is needed to publish it again.
#[derive(Clone, Debug)]
pub(super) struct PendingJob {
    /// The job's id.
    pub(super) id: JobId,
    /// The queue that it is published to.
    pub(super) queue: Queue,
    /// The encoded envelope.
    pub(super) body: Bytes,
    /// The caller stops waiting at this time.
    pub(super) deadline: Instant,
}

impl PendingJob {
    /// The message that carries the job.
    pub(super) fn message(&self, reply_to: &str) -> Message {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Message {
            id: self.id,
            reply_to: Some(reply_to.to_owned()),
            expiration: Some(left + EXPIRATION_GRACE),
            earlier_attempts: 0,
            body: self.body.clone(),
        }
    }
}

struct Entry {
    job: PendingJob,
    since: Instant,
    /// The reply queue that the job's last publish named; `None` before the first one.
    reply_to: Option<String>,
    answer: oneshot::Sender<WorkerAnswer>,
}

/// The map of pending jobs. Clones share it.
#[derive(Clone)]
pub(super) struct Pending {
    entries: Arc<Mutex<HashMap<JobId, Entry>>>,
    gauge: IntGauge,
}

impl Pending {
    pub(super) fn new(gauge: IntGauge) -> Self {
        Self { entries: Arc::default(), gauge }
    }

    /// Adds a job. It stays until its answer arrives or the returned guard is dropped.
    pub(super) fn insert(&self, job: PendingJob) -> PendingGuard {
        let (sender, receiver) = oneshot::channel();
        let id = job.id;
        self.lock().insert(id, Entry { job, since: Instant::now(), reply_to: None, answer: sender });
        self.gauge.inc();
        PendingGuard { pending: self.clone(), id, answer: receiver }
    }

    /// Hands the answer to the job's caller. Returns false if the job is not pending: the first answer wins.
    pub(super) fn answer(&self, id: JobId, answer: WorkerAnswer) -> bool {
        let entry = self.lock().remove(&id);
        entry.is_some_and(|entry| {
            self.gauge.dec();
            entry.answer.send(answer).is_ok()
        })
    }

    /// The age of the oldest job of each queue that has one.
    pub(super) fn oldest(&self) -> HashMap<Queue, Duration> {
        let mut oldest = HashMap::new();
        for Entry { job, since, .. } in self.lock().values() {
            let age = oldest.entry(job.queue.clone()).or_insert(Duration::ZERO);
            *age = since.elapsed().max(*age);
        }
        oldest
    }

    /// Whether the job is pending.
    pub(super) fn contains(&self, id: JobId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Assigns the current reply queue to a job that is about to be published; `None` if there is none.
    ///
    /// This reads `present` under the map's lock. So for every new queue, either the caller publishes the job or
    /// [`Pending::reassign_reply_queue`] returns it, and never both or neither.
    pub(super) fn assign_reply_queue(
        &self,
        id: JobId,
        present: &watch::Sender<Option<String>>,
    ) -> Option<String> {
        let mut entries = self.lock();
        let reply_to = present.borrow().clone();
        if let Some(entry) = entries.get_mut(&id) {
            entry.reply_to.clone_from(&reply_to);
        }
        reply_to
    }

    /// Assigns `reply_to`, the new queue, to every job that was published with an earlier one. Returns those whose
    /// deadline has not passed; they must be published again.
    pub(super) fn reassign_reply_queue(&self, reply_to: &str) -> Vec<PendingJob> {
        let now = Instant::now();
        let mut entries = self.lock();
        let stale = entries.values_mut().filter_map(|entry| {
            let earlier = entry.reply_to.as_mut().filter(|earlier| *earlier != reply_to)?;
            reply_to.clone_into(earlier);
            (entry.job.deadline > now).then(|| entry.job.clone())
        });
        stale.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a job in the map. Dropping it removes the job.
pub(super) struct PendingGuard {
    pending: Pending,
    id: JobId,
    answer: oneshot::Receiver<WorkerAnswer>,
}

impl PendingGuard {
    /// Waits for the answer; `None` when `deadline` passes first.
    pub(super) async fn wait(&mut self, deadline: Instant) -> Option<WorkerAnswer> {
        tokio::time::timeout_at(deadline.into(), &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        if self.pending.lock().remove(&self.id).is_some() {
            self.pending.gauge.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn job(seconds: u64) -> PendingJob {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        PendingJob {
            id: Uuid::now_v7(),
            queue: Queue::Interactive,
            body: Bytes::from_static(b"body"),
            deadline,
        }
    }

    fn answer() -> WorkerAnswer {
        WorkerAnswer { outcome: None, service: Duration::ZERO }
    }

    fn pending() -> Pending {
        Pending::new(IntGauge::new("pending", "pending").unwrap())
    }

    #[test]
    fn the_oldest_job_of_a_queue_counts() {
        let pending = pending();
        assert!(pending.oldest().is_empty());
        let (first, second) = (job(60), PendingJob { queue: Queue::Replay, ..job(60) });
        let guard = pending.insert(first);
        let _other = pending.insert(second);
        let _younger = pending.insert(job(60));
        let since = |queue| Instant::now() - pending.oldest()[&queue];
        assert!(since(Queue::Interactive) < since(Queue::Replay), "the first job is the oldest");
        drop(guard);
        assert!(since(Queue::Interactive) > since(Queue::Replay), "only the youngest is left");
    }

    #[tokio::test]
    async fn the_first_answer_wins() {
        let pending = pending();
        let job = job(60);
        let mut guard = pending.insert(job.clone());
        assert!(pending.answer(job.id, answer()));
        assert!(!pending.answer(job.id, answer()));
        assert!(guard.wait(job.deadline).await.is_some());
        assert_eq!(pending.gauge.get(), 0);
    }

    #[tokio::test]
    async fn a_job_without_an_answer_ends_at_its_deadline() {
        let pending = pending();
        let job = PendingJob { deadline: Instant::now(), ..job(0) };
        let mut guard = pending.insert(job.clone());
        assert!(guard.wait(job.deadline).await.is_none());
        assert!(pending.reassign_reply_queue("second").is_empty());
        drop(guard);
        assert_eq!(pending.gauge.get(), 0);
        assert!(!pending.answer(job.id, answer()));
    }

    #[test]
    fn a_lost_queues_jobs_are_published_again_and_only_those() {
        let pending = pending();
        let present = watch::Sender::new(Some("first".to_owned()));
        let ids = |jobs: Vec<PendingJob>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
        let jobs = [job(60), job(60), job(60)];
        let [early, late, never] = jobs.each_ref().map(|job| pending.insert(job.clone()));

        assert_eq!(pending.assign_reply_queue(early.id, &present).as_deref(), Some("first"));
        assert!(pending.reassign_reply_queue("first").is_empty());
        present.send_replace(Some("second".to_owned()));
        // The caller of `late` publishes it with the new queue before the jobs of the old queue are collected.
        assert_eq!(pending.assign_reply_queue(late.id, &present).as_deref(), Some("second"));
        assert_eq!(ids(pending.reassign_reply_queue("second")), [early.id]);
        assert!(pending.reassign_reply_queue("second").is_empty());

        drop(early);
        assert_eq!(ids(pending.reassign_reply_queue("third")), [late.id]);
        present.send_replace(None);
        assert_eq!(pending.assign_reply_queue(never.id, &present), None);
    }
}
