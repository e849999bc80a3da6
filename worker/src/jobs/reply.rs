//! Publishing a job's answer, with retries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Message, Publish as _, Published, Queue, Settlement};
use faceline_shared::job::{JobFailure, JobHead, Outcome, ReplyEnvelope};
use faceline_shared::retry::Backoff;
use faceline_shared::seal::KeyRing;

use super::expiring_set::ExpiringSet;
use super::job_span::JobSpan;
use super::metrics::WorkerMetrics;

/// Time for which the names of lost reply queues are kept. A gateway never opens a reply queue under an old name again,
/// and the late jobs for it are done by then.
const LOST_QUEUE_TTL: Duration = Duration::from_secs(600);
/// Maximum number of names of lost reply queues that are kept.
const MAX_LOST_QUEUES: usize = 1_000;

/// Pause before a job goes back because the queue of results does not exist. It prevents a tight loop in which the job
/// is done again and again.
const MISSING_QUEUE_PAUSE: Duration = Duration::from_secs(5);

/// Clocks of two machines may differ by this much before a job counts as expired.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Destination of a job's answer, and the fields of the job that the answer repeats.
pub(super) struct Addressee<'d> {
    pub(super) job: JobHead,
    pub(super) reply_to: &'d String,
    /// As [`JobEnvelope::context`](faceline_shared::job::JobEnvelope::context).
    context: Option<Vec<u8>>,
    /// The job's span; `None` if this worker cannot read the job.
    span: Option<&'d JobSpan>,
}

impl<'d> Addressee<'d> {
    /// The addressee of a delivered job; `None` if the message names no queue for the answer.
    pub(super) fn of(
        job: JobHead,
        message: &'d Message,
        context: Option<Vec<u8>>,
        span: Option<&'d JobSpan>,
    ) -> Option<Self> {
        Some(Self { job, reply_to: message.reply_to.as_ref()?, context, span })
    }

    /// The failure of a job whose time is over.
    pub(super) fn expired(&self) -> Option<JobFailure> {
        let age = self.job.age();
        (age > self.job.budget().saturating_add(CLOCK_TOLERANCE))
            .then_some(JobFailure::Expired { age_ms: age.as_millis() as u64 })
    }
}

/// Publishes answers to the gateways' reply queues.
pub(super) struct Replier {
    publisher: Arc<RetryingPublisher>,
    keys: KeyRing,
    metrics: WorkerMetrics,
    /// Reply queues that do not exist any more.
    lost_queues: ExpiringSet<String>,
}

impl Replier {
    pub(super) fn new(publisher: Arc<RetryingPublisher>, keys: KeyRing, metrics: WorkerMetrics) -> Self {
        Self { publisher, keys, metrics, lost_queues: ExpiringSet::new(MAX_LOST_QUEUES, LOST_QUEUE_TTL) }
    }

    /// Whether the reply queue does not exist any more.
    pub(super) fn is_lost(&self, reply_to: &String) -> bool {
        self.lost_queues.contains(reply_to)
    }

    /// Publishes the answer, and returns how to settle the job. `service` is the time that its task took.
    pub(super) async fn reply(&self, to: &Addressee<'_>, outcome: &Outcome, service: Duration) -> Settlement {
        let Addressee { job, reply_to, context, span } = to;
        if let Some(span) = span {
            span.outcome(label(outcome), is_failure(outcome));
        }
        let encoding = Instant::now();
        let encoding_span = span.map(|span| span.child("encode"));
        let body = ReplyEnvelope::seal(job.id, outcome, service, &self.keys)
            .and_then(|reply| reply.with_context(context.clone()).in_version_of(job).encode());
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "an answer cannot be sealed");
                return Settlement::Failed;
            }
        };
        self.metrics.stage("encode", encoding.elapsed());
        drop(encoding_span);
        let message = Message { id: job.id, reply_to: None, expiration: None, earlier_attempts: 0, body };
        let mut sending = span.map(|span| span.send(reply_to, job.id));
        let published = self.publish(job, &Queue::Reply((*reply_to).clone()), &message).await;
        if let Some(sending) = sending.as_mut().filter(|_| published != Published::Accepted) {
            sending.fail(format_args!("{published:?}"));
        }
        drop(sending);
        match published {
            Published::Accepted => {
                self.metrics.answered.with_label_values(&[label(outcome)]).inc();
                if let Ok(result) = outcome {
                    self.metrics.biometric.observe(result);
                }
                Settlement::Ack
            }
            Published::Returned if **reply_to == self.publisher.address(&Queue::Results) => {
                // Every gateway reads that queue. An operator may have deleted it, and a gateway creates it again.
                tracing::error!("the queue of results does not exist; the job goes back to its queue");
                tokio::time::sleep(MISSING_QUEUE_PAUSE).await;
                Settlement::GiveBack
            }
            Published::Returned => {
                // The gateway has opened another queue and sent its jobs again, or it has ended for good.
                self.lost_queues.insert((*reply_to).clone());
                self.metrics.dropped("gateway_gone");
                Settlement::Ack
            }
            Published::Full | Published::Blocked | Published::Unreachable | Published::Unknown => {
                tracing::warn!("the answer was not published before the job's deadline");
                Settlement::GiveBack
            }
        }
    }

    /// Answers a job that ends its workers, and returns how to settle it.
    pub(super) async fn reply_poison(&self, to: &Addressee<'_>, attempts: u32) -> Settlement {
        tracing::error!(attempts, "the job ends its workers; it goes to the dead letters");
        match self.reply(to, &Err(JobFailure::Poison { attempts }), Duration::ZERO).await {
            Settlement::Ack => Settlement::DeadLetter,
            other => other,
        }
    }

    /// Publishes an answer, and retries while the broker refuses it and the caller may still be waiting. If the job
    /// were given back instead, a worker would have to do it again.
    async fn publish(&self, job: &JobHead, queue: &Queue, message: &Message) -> Published {
        let mut retries = Backoff::REQUEST.retries();
        loop {
            let published = self.publisher.publish(queue, message).await;
            let refused = !matches!(published, Published::Accepted | Published::Returned);
            if !refused || job.age() > job.budget() {
                return published;
            }
            tracing::warn!(?published, "the answer is not published yet; trying again");
            retries.wait().await;
        }
    }
}

/// Whether a job failed for a reason that is not its caller's.
fn is_failure(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Err(JobFailure::BlobLost
            | JobFailure::Expired { .. }
            | JobFailure::Poison { .. }
            | JobFailure::Unsupported
            | JobFailure::OtherKeys
            | JobFailure::Internal)
    )
}

/// The label of an outcome in the metric of answered jobs.
fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(JobFailure::BadPicture { .. }) => "bad_picture",
        Err(JobFailure::BadVideo(_)) => "bad_video",
        Err(JobFailure::SeveralFaces { .. }) => "several_faces",
        Err(JobFailure::NoFace { .. }) => "no_face",
        Err(JobFailure::OtherAlgorithm { .. }) => "other_algorithm",
        Err(JobFailure::BlobLost) => "blob_lost",
        Err(JobFailure::Expired { .. }) => "expired",
        Err(JobFailure::Poison { .. }) => "poison",
        Err(JobFailure::Unsupported) => "unsupported",
        Err(JobFailure::OtherKeys) => "other_keys",
        Err(JobFailure::Internal) => "internal",
    }
}
