//! The consuming loop, and its drain.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Delivery, Queue, Settlement, SharedBroker};
use faceline_shared::job::{CarriedPicture, JobEnvelope, JobFailure, JobHead, MessageError, Task};
use faceline_shared::key_agreement::KeyAgreement;
use faceline_shared::seal::KeyRing;
use faceline_shared::shutdown::CancellationToken;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use super::clock_skew::ClockSkew;
use super::consuming_period::ConsumingPeriod;
use super::deferral::{Deferral, DeferredJobs};
use super::expiring_set::ExpiringSet;
use super::fetch::TaskFetcher;
use super::handler::{Handler, Unavailable};
use super::metrics::WorkerMetrics;
use super::quarantine::{self, Quarantine};
use super::reply::Replier;
use super::settle::settle;
use super::task_runner::JobTimes;

/// Clocks of two machines may differ by this much before a job counts as expired.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// How long ids of cancelled jobs are kept: the longest time that a job may wait.
const CANCELLED_JOB_TTL: Duration = Duration::from_secs(120);
/// Giving back what is in progress when the drain is over takes at most this time. Longer than the broker's adapter publishes a
/// message again before it uses a nack (3 s): a connection that ends earlier counts as a failed attempt.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Most ids of cancelled jobs that are kept.
const MAX_CANCELLED_JOBS: usize = 10_000;

/// Takes jobs from the broker and publishes their answers.
pub struct Consumer {
    broker: SharedBroker,
    handler: Arc<dyn Handler>,
    keys: KeyRing,
    agreement: KeyAgreement,
    fetcher: TaskFetcher,
    replier: Replier,
    quarantine: Quarantine,
    metrics: WorkerMetrics,
    clock_skew: ClockSkew,
    /// The handler's free slots.
    slots: Arc<Semaphore>,
    all_slots: u32,
    drain: Duration,
    cancelled: ExpiringSet<Uuid>,
}

impl Consumer {
    /// A consumer that gives its jobs to `handler`.
    #[must_use]
    pub fn new(
        broker: SharedBroker,
        blobs: SealedBlobs,
        keys: KeyRing,
        handler: Arc<dyn Handler>,
        metrics: WorkerMetrics,
    ) -> Self {
        let slots = handler.slots().max(1);
        let publisher = Arc::new(RetryingPublisher::new(broker.clone()));
        Self {
            replier: Replier::new(Arc::clone(&publisher), keys.clone(), metrics.clone()),
            quarantine: Quarantine::new(publisher),
            agreement: KeyAgreement::always_agreed(keys.clone()),
            keys,
            fetcher: TaskFetcher { blobs },
            clock_skew: ClockSkew::new(metrics.smallest_age.clone()),
            broker,
            handler,
            metrics,
            slots: Arc::new(Semaphore::new(slots)),
            all_slots: slots as u32,
            drain: Duration::MAX,
            cancelled: ExpiringSet::new(MAX_CANCELLED_JOBS, CANCELLED_JOB_TTL),
        }
    }

    /// After a shutdown, jobs in progress are finished for at most this time.
    #[must_use]
    pub fn with_drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Takes no jobs while `agreement` does not hold.
    #[must_use]
    pub fn with_key_agreement(self, agreement: KeyAgreement) -> Self {
        Self { agreement, ..self }
    }

    /// Takes up to `prefetch` jobs at a time until `shutdown`. Then gives back the jobs that have not started, finishes
    /// those that have, and after the time for that gives back the rest. While the handler is unavailable, or the gateways have
    /// other keys, it has no streams, so that other workers get the jobs.
    pub async fn run(self, prefetch: u16, shutdown: CancellationToken) {
        let drain = self.drain;
        let tasks = TaskTracker::new();
        let drain_over = CancellationToken::new();
        // Also cancelled if the broker is closed without a shutdown.
        let stopping = shutdown.child_token();
        let consuming = async {
            Arc::new(self).take_jobs_until(&stopping, prefetch, &drain_over, &tasks).await;
            stopping.cancel();
            tasks.close();
            tasks.wait().await;
        };
        let mut consuming = std::pin::pin!(consuming);
        // The closing of the streams is part of the drain, so that it does not add to the time of the shutdown.
        let drain = async {
            stopping.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            biased;
            () = &mut consuming => return,
            () = drain => {}
        }
        tracing::warn!(jobs = tasks.len(), "jobs are left to other workers, because jobs.drain is over");
        drain_over.cancel();
        // An error means that the broker is away, and will return the jobs by itself.
        let _ = timeout(GIVE_BACK_TIMEOUT, consuming).await;
    }

    /// Takes jobs, whenever the handler is available and the keys agree, until `stopping` or until the broker is closed.
    async fn take_jobs_until(
        self: Arc<Self>,
        stopping: &CancellationToken,
        prefetch: u16,
        drain_over: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        let deferred = Arc::new(DeferredJobs::new(prefetch));
        let mut announcements = self.broker.announcements().await;
        let mut availability = self.handler.availability();
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = async { tokio::join!(availability.until(true), self.agreement.until(true)); } => {}
                Some(body) = announcements.recv() => {
                    self.note_cancellation(&body);
                    continue;
                }
            }
            let period = ConsumingPeriod::new(stopping, drain_over);
            let taken =
                Arc::clone(&self).take_jobs(prefetch, &period, &mut announcements, &deferred, tasks).await;
            if taken.is_break() {
                return;
            }
        }
    }

    /// Opens the streams and takes jobs from them until the period ends, then closes them. Breaks if the broker was
    /// closed.
    async fn take_jobs(
        self: Arc<Self>,
        prefetch: u16,
        period: &ConsumingPeriod,
        announcements: &mut mpsc::Receiver<Bytes>,
        deferred: &Arc<DeferredJobs>,
        tasks: &TaskTracker,
    ) -> ControlFlow<()> {
        let mut interactive = self.broker.consume(&Queue::Interactive, prefetch).await;
        let mut quarantine = self.broker.consume(&Queue::Quarantine, 1).await;
        let end = loop {
            let (queue, delivery) = tokio::select! {
                () = period.ending.cancelled() => break ControlFlow::Continue(()),
                () = self.agreement.until(false) => break ControlFlow::Continue(()),
                Some(body) = announcements.recv() => {
                    self.note_cancellation(&body);
                    continue;
                }
                delivery = interactive.next() => (Queue::Interactive, delivery),
                delivery = quarantine.next() => (Queue::Quarantine, delivery),
            };
            let Some(delivery) = delivery else { break ControlFlow::Break(()) };
            let deferred = Arc::clone(deferred);
            tasks.spawn(Arc::clone(&self).process(queue, delivery, period.clone(), deferred));
        };
        period.ending.cancel();
        tokio::join!(interactive.close(), quarantine.close());
        period.streams_closed.cancel();
        end
    }

    fn note_cancellation(&self, body: &Bytes) {
        if let Some(Announcement::JobCancelled(id)) = Announcement::decode(body) {
            self.cancelled.insert(id);
        }
    }

    async fn process(
        self: Arc<Self>,
        queue: Queue,
        delivery: Delivery,
        period: ConsumingPeriod,
        deferred: Arc<DeferredJobs>,
    ) {
        if delivery.attempts > 0 {
            self.metrics.redelivered.with_label_values(&[queue.name()]).inc();
        }
        let head = match JobHead::decode(&delivery.message.body) {
            Ok(head) => head,
            Err(error) => return settle(&delivery, self.refuse_unreadable(&error)).await,
        };
        let opened = JobEnvelope::decode(&delivery.message.body)
            .and_then(|envelope| Ok((envelope.open(&self.keys)?, envelope)));
        match opened {
            Ok((task, envelope)) => {
                let span = tracing::info_span!("job", job = %head.id, trace = envelope.traceparent);
                if quarantine::must_move(&queue, &delivery) {
                    return self.quarantine.bring(&delivery, &period).instrument(span).await;
                }
                let work = self.work(&queue, &delivery, &envelope, task, &period);
                settle(&delivery, work.instrument(span).await).await;
            }
            Err(error) => {
                let span = tracing::info_span!("job", job = %head.id);
                let refuse = self.defer_or_answer(&delivery, head, &error, &period, &deferred);
                settle(&delivery, refuse.instrument(span).await).await;
            }
        }
    }

    fn refuse_unreadable(&self, error: &MessageError) -> Settlement {
        tracing::error!(%error, "a message goes to the dead letters");
        self.metrics.dropped("unreadable");
        Settlement::DeadLetter
    }

    /// Gives a job that this worker cannot read back to a worker that may, or answers it when its time is running out. That does
    /// not depend on how often workers died with it: this worker does not run it.
    async fn defer_or_answer(
        &self,
        delivery: &Delivery,
        head: JobHead,
        error: &MessageError,
        period: &ConsumingPeriod,
        deferred: &DeferredJobs,
    ) -> Settlement {
        let Some(reply_to) = &delivery.message.reply_to else {
            return self.refuse_unreadable(error);
        };
        if self.is_unwanted(head.id, reply_to) {
            return Settlement::Ack;
        }
        if !error.is_deferrable() {
            tracing::error!(%error, "a job does not open");
            return self.replier.reply(&head, reply_to, &Err(JobFailure::Internal), Duration::ZERO).await;
        }
        self.agreement.report(error);
        if let Some(expired) = expired(&head) {
            return self.replier.reply(&head, reply_to, &Err(expired), Duration::ZERO).await;
        }
        if deferred.defer(&head, &period.ending).await == Deferral::GiveBack {
            self.metrics.deferred.inc();
            return if period.ending.is_cancelled() { give_back(period).await } else { Settlement::GiveBack };
        }
        tracing::error!(%error, "no other worker has taken a job that this one cannot read; it is answered with an error");
        let failure = match error {
            MessageError::OtherKeys(_) => JobFailure::OtherKeys,
            _ => JobFailure::Unsupported,
        };
        self.replier.reply(&head, reply_to, &Err(failure), Duration::ZERO).await
    }

    /// Does a job and publishes its answer. Returns how to settle the delivery.
    async fn work(
        &self,
        queue: &Queue,
        delivery: &Delivery,
        envelope: &JobEnvelope,
        task: Task<CarriedPicture>,
        period: &ConsumingPeriod,
    ) -> Settlement {
        let head = envelope.head();
        let Some(reply_to) = &delivery.message.reply_to else {
            tracing::error!("a job names no queue for its answer");
            self.metrics.dropped("unreadable");
            return Settlement::DeadLetter;
        };
        if quarantine::is_poison(queue, delivery) {
            return self.answer_poison(delivery, &head, reply_to).await;
        }
        let quarantined = *queue == Queue::Quarantine;
        if quarantined {
            self.quarantine.wait_for_moves().await;
        }
        if self.is_unwanted(head.id, reply_to) {
            return Settlement::Ack;
        }
        self.clock_skew.record(envelope);
        if let Some(expired) = expired(&head) {
            return self.replier.reply(&head, reply_to, &Err(expired), Duration::ZERO).await;
        }

        let fetching = Instant::now();
        let task = self.fetcher.fetch(task).await;
        self.metrics.stage("fetch", fetching.elapsed());
        let Some(slots) = self.acquire_slots(quarantined, period).await else {
            return give_back(period).await;
        };
        if self.is_unwanted(head.id, reply_to) {
            return Settlement::Ack;
        }
        self.metrics.stage("queue", head.age());
        let started = Instant::now();
        let (outcome, times) = match task {
            Ok(task) => {
                self.metrics.running.inc();
                let handled = period.drain_over.run_until_cancelled(self.handler.handle(task)).await;
                self.metrics.running.dec();
                match handled {
                    Some(Ok(handled)) => handled,
                    None => return give_back(period).await,
                    Some(Err(Unavailable)) => {
                        drop(slots);
                        tracing::warn!("no model runs; the job goes back to its queue");
                        period.ending.cancel();
                        return give_back(period).await;
                    }
                }
            }
            Err(failure) => (Err(failure), JobTimes::default()),
        };
        let service = started.elapsed();
        drop(slots);
        self.metrics.stage("decode", times.decode);
        self.metrics.stage("infer", times.infer);
        self.replier.reply(&head, reply_to, &outcome, service).await
    }

    async fn answer_poison(&self, delivery: &Delivery, job: &JobHead, reply_to: &str) -> Settlement {
        let attempts = delivery.total_attempts();
        tracing::error!(attempts, "the job ends its workers; it goes to the dead letters");
        let poison = Err(JobFailure::Poison { attempts });
        match self.replier.reply(job, reply_to, &poison, Duration::ZERO).await {
            Settlement::Ack => Settlement::DeadLetter,
            other => other,
        }
    }

    /// Waits for a free slot; `None` if the period ends first. A job of the quarantine gets all slots, so that it runs
    /// alone.
    async fn acquire_slots(
        &self,
        quarantined: bool,
        period: &ConsumingPeriod,
    ) -> Option<OwnedSemaphorePermit> {
        let wanted = if quarantined { self.all_slots } else { 1 };
        let slots = Arc::clone(&self.slots).acquire_many_owned(wanted);
        let slots = period.ending.run_until_cancelled(slots).await?.ok()?;
        // Both may have happened before this task ran again.
        (!period.ending.is_cancelled()).then_some(slots)
    }

    /// Whether nobody waits for the answer any more.
    fn is_unwanted(&self, id: Uuid, reply_to: &String) -> bool {
        if self.cancelled.contains(&id) {
            self.metrics.dropped("cancelled");
            return true;
        }
        if self.replier.is_lost(reply_to) {
            self.metrics.dropped("gateway_gone");
            return true;
        }
        false
    }
}

/// The failure of a job whose time is over.
fn expired(job: &JobHead) -> Option<JobFailure> {
    let age = job.age();
    (age > job.budget().saturating_add(CLOCK_TOLERANCE))
        .then_some(JobFailure::Expired { age_ms: age.as_millis() as u64 })
}

/// Returns how to settle a job that was not done, once the streams are closed. It would come back to this worker before.
async fn give_back(period: &ConsumingPeriod) -> Settlement {
    period.streams_closed.cancelled().await;
    Settlement::GiveBack
}
