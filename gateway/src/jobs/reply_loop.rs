//! The reply loop: consumes the gateway's reply queue, and publishes pending jobs again after the queue was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Message, Publish as _, Published, Replies, ReplyEvent};
use faceline_shared::job::{JobFailure, MessageError, Outcome, ReplyEnvelope};
use faceline_shared::key_agreement::KeyAgreement;
use faceline_shared::retry::Backoff;
use faceline_shared::seal::KeyRing;
use tokio::sync::watch;

use super::metrics::JobMetrics;
use super::pending::{Pending, PendingJob, WorkerAnswer};

/// Consumes answers and hands them to the pending jobs.
pub(super) struct ReplyLoop {
    pub(super) publisher: Arc<RetryingPublisher>,
    pub(super) pending: Pending,
    pub(super) keys: KeyRing,
    pub(super) agreement: KeyAgreement,
    pub(super) metrics: JobMetrics,
    /// Name of the current reply queue; `None` while there is none.
    pub(super) reply_to: Arc<watch::Sender<Option<String>>>,
}

impl ReplyLoop {
    /// Runs until the broker is closed.
    pub(super) async fn run(self, mut replies: Box<dyn Replies>) {
        while let Some(event) = replies.next().await {
            match event {
                ReplyEvent::Opened { queue } => self.opened(queue),
                ReplyEvent::Lost => {
                    self.reply_to.send_replace(None);
                    tracing::warn!("the reply queue is lost");
                }
                ReplyEvent::Reply(message) => self.reply(&message),
            }
        }
    }

    fn opened(&self, queue: String) {
        tracing::info!(queue, "the reply queue is open");
        self.reply_to.send_replace(Some(queue.clone()));
        let jobs = self.pending.reassign_reply_queue(&queue);
        if jobs.is_empty() {
            return;
        }
        tracing::warn!(jobs = jobs.len(), "publishing pending jobs again");
        let republication = Republication {
            publisher: Arc::clone(&self.publisher),
            pending: self.pending.clone(),
            metrics: self.metrics.clone(),
            reply_to: self.reply_to.subscribe(),
            queue,
        };
        // In a task of its own: answers to the first jobs may arrive while the last ones are published.
        tokio::spawn(republication.run(jobs));
    }

    fn reply(&self, message: &Message) {
        match ReplyEnvelope::decode(&message.body) {
            Ok(envelope) => {
                let outcome = self.open(&envelope);
                let answer = WorkerAnswer { outcome, service: Duration::from_millis(envelope.service_ms) };
                if !self.pending.answer(envelope.id, answer) {
                    self.metrics.unexpected_results.inc();
                }
            }
            Err(error) => {
                tracing::error!(%error, job = %message.id, "an answer cannot be decoded");
                // A worker answers in the job's version, so this is not expected. An answer without an outcome spares
                // the caller the wait until the deadline.
                let answer = WorkerAnswer { outcome: None, service: Duration::ZERO };
                self.pending.answer(message.id, answer);
            }
        }
    }

    fn open(&self, envelope: &ReplyEnvelope) -> Option<Outcome> {
        match envelope.open(&self.keys) {
            Ok(outcome) => Some(outcome),
            Err(error @ MessageError::OtherKeys(_)) => {
                self.agreement.report(&error);
                Some(Err(JobFailure::OtherKeys))
            }
            Err(error) => {
                tracing::error!(%error, job = %envelope.id, "an answer does not open");
                None
            }
        }
    }
}

/// Publishes pending jobs again, with one generation of the reply queue.
struct Republication {
    publisher: Arc<RetryingPublisher>,
    pending: Pending,
    metrics: JobMetrics,
    reply_to: watch::Receiver<Option<String>>,
    queue: String,
}

impl Republication {
    /// Retries until the broker has accepted every job that is still pending. Replies and publishes use different
    /// connections, so the reply queue may be back before publishing works. Ends when the queue is lost again, because
    /// the next generation publishes all jobs anew.
    async fn run(self, mut jobs: Vec<PendingJob>) {
        let mut retries = Backoff::REQUEST.retries();
        loop {
            let mut refused = Vec::new();
            for job in jobs {
                if self.is_pending(&job) && !self.publish(&job).await {
                    refused.push(job);
                }
            }
            if refused.is_empty() || self.reply_to.borrow().as_deref() != Some(self.queue.as_str()) {
                return;
            }
            jobs = refused;
            retries.wait().await;
        }
    }

    fn is_pending(&self, job: &PendingJob) -> bool {
        job.deadline > Instant::now() && self.pending.contains(job.id)
    }

    /// Publishes one job. Returns false if it must be tried again.
    async fn publish(&self, job: &PendingJob) -> bool {
        let published = self.publisher.publish(&job.queue, &job.message(&self.queue)).await;
        match published {
            Published::Accepted | Published::Unknown => {
                self.metrics.republished.inc();
                true
            }
            Published::Full | Published::Blocked | Published::Returned | Published::Unreachable => {
                tracing::debug!(job = %job.id, ?published, "a job could not be published again yet");
                false
            }
        }
    }
}
