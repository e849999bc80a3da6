//! The dispatcher: publishes a job and waits for its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::{BusyCause, Fault};
use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Publish as _, Published, Queue, SharedBroker};
use faceline_shared::job::{CarriedPicture, JobEnvelope, JobFailure, JobId, Routing, Task};
use faceline_shared::key_agreement::KeyAgreement;
use faceline_shared::retry::Backoff;
use faceline_shared::seal::KeyRing;
use faceline_shared::telemetry::{MessageStep, Metrics, Span, SpanKind, TraceContext};
use tokio::sync::watch;
use tokio::time::{sleep, timeout, timeout_at};

use super::claim_check::{ClaimCheck, stored_bytes};
use super::metrics::JobMetrics;
use super::oldest_job::OldestJobCollector;
use super::pending::{Pending, PendingGuard, PendingJob, WorkerAnswer};
use super::reply_loop::ReplyLoop;
use super::submit::{JobRequest, Submit, SubmitError, SubmitResult};
use crate::admission::UploadSlots;

/// Maximum number of attempts for a job whose worker could not read a blob: the blob store was restarted, or one of
/// the workers cannot reach it. The pauses between the attempts grow and add up to 1.6 s.
const MAX_BLOB_ATTEMPTS: u32 = 6;

/// Longest time that a caller whose deadline has passed waits for the reason.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(1);

/// Called for each job that a worker did, with its queue, its time outside the worker, and the worker's time.
type OnAnswer = dyn Fn(&Queue, Duration, Duration) + Send + Sync;

/// Publishes jobs and waits for their answers. Clones share everything.
#[derive(Clone)]
pub struct Dispatcher {
    instance: Arc<str>,
    broker: SharedBroker,
    publisher: Arc<RetryingPublisher>,
    blobs: SealedBlobs,
    keys: KeyRing,
    agreement: KeyAgreement,
    inline_limit: usize,
    /// Bounds the uploads into the blob store.
    upload_slots: Arc<UploadSlots>,
    pending: Pending,
    metrics: JobMetrics,
    /// Name of the current reply queue; `None` while there is none.
    reply_to: Arc<watch::Sender<Option<String>>>,
    on_answer: Arc<OnAnswer>,
}

impl Dispatcher {
    /// Opens a reply queue for `instance` and consumes it until the broker is closed.
    pub async fn start(
        instance: &str,
        broker: SharedBroker,
        blobs: SealedBlobs,
        keys: KeyRing,
        inline_limit: usize,
        metrics: &Metrics,
    ) -> Self {
        let agreement = KeyAgreement::always_agreed(keys.clone());
        Self::start_agreeing(instance, broker, blobs, keys, agreement, inline_limit, metrics).await
    }

    /// As [`Dispatcher::start`]. Refuses jobs while `agreement` does not hold, since no worker could open them.
    pub async fn start_agreeing(
        instance: &str,
        broker: SharedBroker,
        blobs: SealedBlobs,
        keys: KeyRing,
        agreement: KeyAgreement,
        inline_limit: usize,
        metrics: &Metrics,
    ) -> Self {
        let job_metrics = JobMetrics::new(metrics);
        let pending = Pending::new(job_metrics.pending.clone());
        metrics.collector(OldestJobCollector::new(pending.clone()));
        let dispatcher = Self {
            instance: instance.into(),
            pending,
            reply_to: Arc::new(watch::Sender::new(None)),
            publisher: Arc::new(RetryingPublisher::new(broker.clone())),
            broker,
            blobs,
            keys,
            agreement,
            inline_limit,
            upload_slots: Arc::new(UploadSlots::new()),
            metrics: job_metrics,
            on_answer: Arc::new(|_, _, _| ()),
        };
        let replies = dispatcher.broker.replies(instance).await;
        let reply_loop = ReplyLoop {
            publisher: Arc::clone(&dispatcher.publisher),
            pending: dispatcher.pending.clone(),
            keys: dispatcher.keys.clone(),
            agreement: dispatcher.agreement.clone(),
            metrics: dispatcher.metrics.clone(),
            reply_to: dispatcher.reply_to.clone(),
        };
        tokio::spawn(reply_loop.run(replies));
        dispatcher
    }

    /// Sets a callback for jobs that a worker did. It is called with the job's queue, its time outside the worker
    /// (from its publish to its answer, less the worker's time), and the worker's time.
    #[must_use]
    pub fn on_answer(self, on_answer: impl Fn(&Queue, Duration, Duration) + Send + Sync + 'static) -> Self {
        Self { on_answer: Arc::new(on_answer), ..self }
    }

    /// Watches the name of the current reply queue. It changes whenever a queue opens or is lost.
    #[must_use]
    pub fn watch_connection(&self) -> watch::Receiver<Option<String>> {
        self.reply_to.subscribe()
    }

    /// Publishes a job once and waits for its answer, in a span of its own.
    async fn attempt(&self, job: &JobRequest, deadline: Instant) -> SubmitResult {
        let mut span = job.trace.span(SpanKind::Internal, "job");
        span.set_text("faceline.job", job.id);
        let result = self.attempt_in(span.context(), job, deadline).await;
        match &result {
            Ok(_) => (),
            Err(SubmitError::Fault(fault)) => span.fail(fault.row().label),
            Err(SubmitError::Busy(cause)) => span.fail(cause.row().label),
            // The worker's span has the cause.
            Err(SubmitError::Failed(_)) => span.set("error.type", "failed"),
        }
        result
    }

    async fn attempt_in(&self, trace: &TraceContext, job: &JobRequest, deadline: Instant) -> SubmitResult {
        let (_claims, task) =
            timeout_at(deadline.into(), self.check_in(trace, job)).await.unwrap_or_else(|_| {
                tracing::error!(job = %job.id, "the blob store is too slow for a picture");
                Err(SubmitError::Busy(BusyCause::StoreUnreachable))
            })?;
        let queue = task.queue();
        let mut sending = trace.message_span(MessageStep::Send, queue.name(), job.id);
        let body = self.envelope(sending.context(), job, &task)?;
        sending.set("messaging.message.body.size", body.len() as i64);
        let pending = PendingJob { id: job.id, queue, body, deadline };
        drop(task);
        let published_at = Instant::now();
        match self.publish_and_wait(job, &pending, sending).await? {
            Some(WorkerAnswer { outcome, service }) => {
                let wait = published_at.elapsed().saturating_sub(service);
                self.metrics.wait.observe(wait.as_secs_f64());
                if !matches!(outcome, Some(Err(JobFailure::Expired { .. } | JobFailure::BlobLost))) {
                    (self.on_answer)(&pending.queue, wait, service);
                }
                Ok(outcome.ok_or(Fault::Internal)??)
            }
            None => Err(self.explain_missed_deadline(job).await),
        }
    }

    /// Moves large pictures to the blob store. It waits for an upload slot first.
    async fn check_in(
        &self,
        trace: &TraceContext,
        job: &JobRequest,
    ) -> Result<(ClaimCheck, Task<CarriedPicture>), SubmitError> {
        let (_storing, _slot) = match stored_bytes(&job.task, self.inline_limit) {
            0 => (None, None),
            bytes => {
                let storing = trace.span(SpanKind::Internal, "store pictures");
                (Some(storing), self.upload_slots.acquire(bytes).await)
            }
        };
        ClaimCheck::check_in(&self.blobs, self.inline_limit, job.id, &job.task, job.budget).await.map_err(
            |error| {
                tracing::error!(%error, job = %job.id, "the blob store does not take a picture");
                SubmitError::Busy(BusyCause::StoreUnreachable)
            },
        )
    }

    /// Publishes a job and waits for its answer, which may arrive before the publisher confirm; `None` at its deadline.
    async fn publish_and_wait(
        &self,
        job: &JobRequest,
        pending: &PendingJob,
        sending: Span,
    ) -> Result<Option<WorkerAnswer>, SubmitError> {
        let guard = self.pending.insert(pending.clone());
        let mut submitted = SubmittedJob { guard, dispatcher: self, id: job.id, is_over: false };
        let answer = tokio::select! {
            biased;
            answer = submitted.guard.wait(pending.deadline) => {
                if answer.is_some() {
                    // A worker had the job, so the broker accepted it, and there is no need to wait for the confirm.
                    self.metrics.published.with_label_values(&[label(Published::Accepted)]).inc();
                }
                answer
            }
            published = self.publish(pending, sending) => {
                submitted.is_over = published.is_err();
                published?;
                submitted.guard.wait(pending.deadline).await
            }
        };
        submitted.is_over = answer.is_some();
        Ok(answer)
    }

    fn envelope(
        &self,
        trace: &TraceContext,
        job: &JobRequest,
        task: &Task<CarriedPicture>,
    ) -> Result<Bytes, Fault> {
        let routing = Routing {
            id: job.id,
            client: job.client.clone(),
            gateway: self.instance.to_string(),
            budget: job.budget,
            traceparent: String::new(),
        };
        let sealed = JobEnvelope::seal(routing, task, &self.keys);
        sealed.and_then(|envelope| envelope.with_trace(trace).encode()).map_err(|error| {
            tracing::error!(%error, job = %job.id, "a job cannot be sealed");
            Fault::Internal
        })
    }

    /// Publishes a job. `sending` ends with the broker's confirm, or with the answer if that comes first.
    async fn publish(&self, job: &PendingJob, mut sending: Span) -> Result<(), SubmitError> {
        let unreachable = SubmitError::Busy(BusyCause::BrokerUnreachable);
        let Some(reply_to) = self.pending.assign_reply_queue(job.id, &self.reply_to) else {
            return Err(unreachable);
        };
        let published = self.publisher.publish(&job.queue, &job.message(&reply_to)).await;
        self.metrics.published.with_label_values(&[label(published)]).inc();
        if published != Published::Accepted {
            sending.fail(label(published));
        }
        match published {
            // The broker may have the job although its confirm is missing, so the caller waits for an answer.
            Published::Accepted | Published::Unknown => Ok(()),
            Published::Full => Err(SubmitError::Busy(BusyCause::QueueFull)),
            // The broker may store the job when its alarm ends. Its answer is then a result without a pending job.
            Published::Blocked => Err(SubmitError::Busy(BusyCause::BrokerBlocked)),
            Published::Returned | Published::Unreachable => Err(unreachable),
        }
    }

    /// Derives from the queue's depth the reason why there was no answer before the deadline.
    ///
    /// It waits for the broker's answer for at most a second. Workers do not report that they have started a job. So
    /// if other jobs wait in the queue, or the queue has no consumer, this job has most likely waited too.
    async fn explain_missed_deadline(&self, job: &JobRequest) -> SubmitError {
        let callers_own = job.callers_own_deadline;
        if self.broker.health().blocked.is_some() {
            // Workers cannot publish their results.
            return SubmitError::Busy(BusyCause::BrokerBlocked);
        }
        let depth = timeout(EXPLANATION_TIMEOUT, self.broker.depth(&job.task.queue())).await;
        let Ok(depth) = depth else {
            tracing::warn!(job = %job.id, "the broker does not answer in time why a deadline was missed");
            return SubmitError::Busy(BusyCause::BrokerUnreachable);
        };
        match depth {
            Ok(depth) if depth.consumers == 0 => SubmitError::Busy(BusyCause::NoWorker),
            Ok(depth) if depth.ready > 0 => SubmitError::Busy(BusyCause::DeadlineQueued { callers_own }),
            Ok(_) => Fault::DeadlineRunning { callers_own }.into(),
            Err(_) => SubmitError::Busy(BusyCause::BrokerUnreachable),
        }
    }
}

fn label(published: Published) -> &'static str {
    match published {
        Published::Accepted => "accepted",
        Published::Full => "full",
        Published::Blocked => "blocked",
        Published::Returned => "returned",
        Published::Unreachable => "unreachable",
        Published::Unknown => "unknown",
    }
}

#[async_trait]
impl Submit for Dispatcher {
    async fn submit(&self, job: JobRequest) -> SubmitResult {
        if !self.agreement.holds() {
            return Err(Fault::NotWorking.into());
        }
        let deadline = Instant::now() + job.budget;
        let mut attempts = 1;
        loop {
            let result = self.attempt(&job, deadline).await;
            if attempts == MAX_BLOB_ATTEMPTS || result != Err(SubmitError::Failed(JobFailure::BlobLost)) {
                return result;
            }
            let pause = Backoff::REQUEST.delay(attempts);
            if Instant::now() + pause >= deadline {
                return result;
            }
            tracing::warn!(job = %job.id, "a worker did not get the job's blob; sending the job again");
            sleep(pause).await;
            attempts += 1;
        }
    }

    fn is_connected(&self) -> bool {
        self.reply_to.borrow().is_some() && self.broker.is_connected()
    }

    fn outage(&self) -> Option<BusyCause> {
        let health = self.broker.health();
        if !health.is_connected || self.reply_to.borrow().is_none() {
            return Some(BusyCause::BrokerUnreachable);
        }
        health.blocked.map(|_| BusyCause::BrokerBlocked)
    }
}

/// A job that was submitted. If it is dropped before it is over, the gateway announces its cancellation to the workers.
struct SubmittedJob<'a> {
    guard: PendingGuard,
    dispatcher: &'a Dispatcher,
    id: JobId,
    is_over: bool,
}

impl Drop for SubmittedJob<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.dispatcher.metrics.cancelled.inc();
        let broker = self.dispatcher.broker.clone();
        let cancelled = Announcement::JobCancelled(self.id).encode();
        tokio::spawn(async move { broker.announce(cancelled).await });
    }
}
