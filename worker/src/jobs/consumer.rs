//! The consuming loop, and its drain.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Delivery, Queue, Settlement, SharedBroker};
use faceline_shared::job::{
    CarriedPicture, JobContext, JobEnvelope, JobFailure, JobHead, MessageError, Task,
};
use faceline_shared::key_agreement::KeyAgreement;
use faceline_shared::seal::KeyRing;
use faceline_shared::shutdown::CancellationToken;
use tokio::sync::mpsc;
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
use super::job_span::{JobSpan, Received, record_segments};
use super::lane::Lanes;
use super::metrics::WorkerMetrics;
use super::quarantine::{self, Quarantine};
use super::reply::{Addressee, Replier};
use super::settle::settle;
use super::streams::Streams;
use super::task_runner::JobTimes;

/// Time for which ids of cancelled jobs are kept: the longest time that a job may wait.
const CANCELLED_JOB_TTL: Duration = Duration::from_secs(120);
/// Time limit for giving back the jobs in progress when the drain is over. It is longer than the 3 s for which the
/// broker's adapter publishes a message again before it uses a nack: a connection that ends earlier counts as a failed
/// attempt.
pub const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before a job goes back because a service that it needs is unavailable. It prevents redelivery in a tight loop.
const SERVICES_PAUSE: Duration = Duration::from_secs(5);
/// Maximum number of ids of cancelled jobs that are kept.
const MAX_CANCELLED_JOBS: usize = 10_000;

/// Takes jobs from the broker and publishes their answers.
pub struct Consumer {
    broker: SharedBroker,
    lanes: Lanes,
    keys: KeyRing,
    agreement: KeyAgreement,
    fetcher: TaskFetcher,
    replier: Replier,
    quarantine: Quarantine,
    metrics: WorkerMetrics,
    clock_skew: ClockSkew,
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
        let publisher = Arc::new(RetryingPublisher::new(broker.clone()));
        Self {
            replier: Replier::new(Arc::clone(&publisher), keys.clone(), metrics.clone()),
            quarantine: Quarantine::new(publisher),
            agreement: KeyAgreement::always_agreed(keys.clone()),
            keys,
            fetcher: TaskFetcher { blobs },
            clock_skew: ClockSkew::new(metrics.smallest_age.clone()),
            broker,
            lanes: Lanes::new(handler),
            metrics,
            drain: Duration::MAX,
            cancelled: ExpiringSet::new(MAX_CANCELLED_JOBS, CANCELLED_JOB_TTL),
        }
    }

    /// Also takes jobs about videos, and gives them to `handler`: as many as it has slots.
    #[must_use]
    pub fn with_videos(self, handler: Arc<dyn Handler>) -> Self {
        Self { lanes: self.lanes.with_videos(handler), ..self }
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
    /// those that have, and gives back the rest when the drain is over. While the handler is unavailable, or the
    /// gateways have other keys, the consumer has no streams, so other workers get the jobs.
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
        // Closing the streams is part of the drain, so it does not add to the time of the shutdown.
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
        // An error means that the broker is unavailable, and will return the jobs by itself.
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
        let mut availability = self.lanes.pictures.handler.availability();
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
        let mut streams = Streams::open(&self.broker, &self.lanes, prefetch).await;
        // When videos can be judged again, the streams open again.
        let mut videos_return = std::pin::pin!(self.lanes.videos_return(streams.has_videos()));
        let end = loop {
            let (queue, delivery) = tokio::select! {
                () = period.ending.cancelled() => break ControlFlow::Continue(()),
                () = self.agreement.until(false) => break ControlFlow::Continue(()),
                () = &mut videos_return => break ControlFlow::Continue(()),
                Some(body) = announcements.recv() => {
                    self.note_cancellation(&body);
                    continue;
                }
                next = streams.next() => next,
            };
            let Some(delivery) = delivery else { break ControlFlow::Break(()) };
            let deferred = Arc::clone(deferred);
            tasks.spawn(Arc::clone(&self).process(queue, delivery, period.clone(), deferred));
        };
        period.ending.cancel();
        streams.close().await;
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
                let job_span = JobSpan::begin(&envelope, &queue);
                let span = job_span.log_span(head.id);
                if quarantine::must_move(&queue, &delivery) {
                    return self.quarantine.bring(&delivery, &period).instrument(span).await;
                }
                let from = Received { queue: &queue, delivery: &delivery, span: &job_span };
                let settlement = self.work(from, &envelope, task, &period, &deferred).instrument(span).await;
                job_span.settled(settlement);
                settle(&delivery, settlement).await;
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

    /// Gives back a job that this worker cannot read, for a worker that can, or answers it when its time is running
    /// out. Earlier failed attempts do not matter, because this worker does not run the job.
    async fn defer_or_answer(
        &self,
        delivery: &Delivery,
        head: JobHead,
        error: &MessageError,
        period: &ConsumingPeriod,
        deferred: &DeferredJobs,
    ) -> Settlement {
        let context = JobContext::decode(&delivery.message.body).unwrap_or_default().context;
        let Some(to) = Addressee::of(head, &delivery.message, context, None) else {
            return self.refuse_unreadable(error);
        };
        if self.is_unwanted(&to) {
            return Settlement::Ack;
        }
        if !error.is_deferrable() {
            tracing::error!(%error, "a job does not open");
            return self.replier.reply(&to, &Err(JobFailure::Internal), Duration::ZERO).await;
        }
        self.agreement.report(error);
        let failure = match error {
            MessageError::OtherKeys(_) => JobFailure::OtherKeys,
            _ => JobFailure::Unsupported,
        };
        self.leave_to_others(&to, failure, error, period, deferred).await
    }

    /// Gives back a job that this worker does not do, for another worker, or answers it when half of its time is over.
    async fn leave_to_others(
        &self,
        to: &Addressee<'_>,
        failure: JobFailure,
        reason: &(dyn std::fmt::Display + Sync),
        period: &ConsumingPeriod,
        deferred: &DeferredJobs,
    ) -> Settlement {
        if let Some(expired) = to.expired() {
            return self.replier.reply(to, &Err(expired), Duration::ZERO).await;
        }
        if deferred.defer(&to.job, &period.ending).await == Deferral::GiveBack {
            self.metrics.deferred.inc();
            return if period.ending.is_cancelled() {
                period.give_back().await
            } else {
                Settlement::GiveBack
            };
        }
        tracing::error!(%reason, "no other worker has taken a job that this one does not do; it is answered with an error");
        self.replier.reply(to, &Err(failure), Duration::ZERO).await
    }

    /// Does a job and publishes its answer. Returns how to settle the delivery.
    async fn work(
        &self,
        Received { queue, delivery, span }: Received<'_>,
        envelope: &JobEnvelope,
        task: Task<CarriedPicture>,
        period: &ConsumingPeriod,
        deferred: &DeferredJobs,
    ) -> Settlement {
        let head = envelope.head();
        let Some(to) = Addressee::of(head, &delivery.message, envelope.context.clone(), Some(span)) else {
            tracing::error!("a job names no queue for its answer");
            self.metrics.dropped("unreadable");
            return Settlement::DeadLetter;
        };
        if quarantine::is_poison(queue, delivery) {
            return self.replier.reply_poison(&to, delivery.total_attempts()).await;
        }
        let quarantined = *queue == Queue::Quarantine;
        if quarantined {
            self.quarantine.wait_for_moves().await;
        }
        if self.is_unwanted(&to) {
            return Settlement::Ack;
        }
        self.clock_skew.record(envelope);
        if let Some(expired) = to.expired() {
            return self.replier.reply(&to, &Err(expired), Duration::ZERO).await;
        }

        // A job about a video may come from the quarantine to a worker that takes none.
        let Some(lane) = self.lanes.of(&task).filter(|lane| !quarantined || lane.is_available()) else {
            let reason = "this worker judges no videos at present";
            return self.leave_to_others(&to, JobFailure::Unsupported, &reason, period, deferred).await;
        };
        let fetching = span.stage(&self.metrics, "fetch");
        let task = self.fetcher.fetch(task).await;
        fetching.end();
        let waiting = span.child("wait for a slot");
        let slots = if quarantined {
            self.lanes.all_slots(period).await
        } else {
            self.lanes.slot(lane, period).await.map(|slot| vec![slot])
        };
        waiting.end();
        let Some(slots) = slots else { return period.give_back().await };
        if self.is_unwanted(&to) {
            return Settlement::Ack;
        }
        self.metrics.stage("queue", head.age());
        let (running, started) = (span.child("run"), Instant::now());
        let (outcome, times) = match task {
            Ok(task) => {
                self.metrics.running.inc();
                let handled = period.drain_over.run_until_cancelled(lane.handler.handle(task)).await;
                self.metrics.running.dec();
                match handled {
                    Some(Ok(handled)) => handled,
                    None => return period.give_back().await,
                    Some(Err(Unavailable::Services)) => return period.give_back_after(SERVICES_PAUSE).await,
                    Some(Err(Unavailable::Models)) => {
                        drop(slots);
                        tracing::warn!("no model runs; the job goes back to its queue");
                        period.ending.cancel();
                        return period.give_back().await;
                    }
                }
            }
            Err(failure) => (Err(failure), JobTimes::default()),
        };
        let service = started.elapsed();
        drop(slots);
        record_segments(&running, &times.segments);
        running.end();
        self.metrics.stage("decode", times.decode);
        self.metrics.stage("infer", times.infer);
        self.replier.reply(&to, &outcome, service).await
    }

    /// Whether nobody waits for the answer any more.
    fn is_unwanted(&self, to: &Addressee<'_>) -> bool {
        if self.cancelled.contains(&to.job.id) {
            self.metrics.dropped("cancelled");
            return true;
        }
        if self.replier.is_lost(to.reply_to) {
            self.metrics.dropped("gateway_gone");
            return true;
        }
        false
    }
}
