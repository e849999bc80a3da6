//! Publishes the jobs of replays.

use std::time::Duration;

use faceline_gateway_store::sessions::SessionName;
use faceline_shared::broker::{Message, Publish as _, Published, Queue, RetryingPublisher};
use faceline_shared::job::{JobEnvelope, MessageError, Routing, Task};
use faceline_shared::seal::KeyRing;
use faceline_shared::telemetry::MessageStep;

use super::context::{self, ContextError};
use super::metrics::ReplayMetrics;
use super::record::SubmittedReplay;

/// Reason why a job is not published. It is published later.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPublished {
    /// The broker did not confirm the job.
    #[error("the broker's answer is {0:?}")]
    Broker(Published),
    /// The job cannot be sealed.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The job's context cannot be sealed.
    #[error(transparent)]
    Context(#[from] ContextError),
}

/// Publishes the jobs of replays. Their answers go to the queue of results, which all gateways consume.
pub(super) struct JobPublisher {
    publisher: RetryingPublisher,
    keys: KeyRing,
    /// Name of the gateway in the jobs' routing fields.
    instance: String,
    /// A job that no worker takes within this time expires.
    deadline: Duration,
    metrics: ReplayMetrics,
}

impl JobPublisher {
    pub(super) fn new(
        publisher: RetryingPublisher,
        keys: KeyRing,
        instance: String,
        deadline: Duration,
        metrics: ReplayMetrics,
    ) -> Self {
        Self { publisher, keys, instance, deadline, metrics }
    }

    /// Publishes the job of a replay and waits for the confirm. A repetition has the same id, so a second result is recognised.
    pub(super) async fn publish(
        &self,
        name: &SessionName,
        submitted: &SubmittedReplay,
    ) -> Result<(), NotPublished> {
        let queue = Queue::Replay;
        let mut sending = submitted.trace().message_span(MessageStep::Send, queue.name(), submitted.job);
        let routing = Routing {
            id: submitted.job,
            client: name.client.clone(),
            gateway: self.instance.clone(),
            budget: self.deadline,
            traceparent: String::new(),
        };
        let task = Task::Replay(Box::new(submitted.task.clone()));
        let context = context::seal(&self.keys, submitted.job, name)?;
        let message = Message {
            id: submitted.job,
            reply_to: Some(self.publisher.address(&Queue::Results)),
            expiration: Some(self.deadline),
            earlier_attempts: 0,
            body: JobEnvelope::seal(routing, &task, &self.keys)?
                .with_trace(sending.context())
                .with_context(context)
                .encode()?,
        };
        let published = self.publisher.publish(&queue, &message).await;
        let outcome = format!("{published:?}").to_ascii_lowercase();
        self.metrics.published.with_label_values(&[&outcome]).inc();
        match published {
            Published::Accepted => Ok(()),
            // Without a confirm the broker may still have the job. A second copy costs a worker's time; a lost job
            // costs the replay.
            refused => {
                sending.fail(outcome);
                Err(NotPublished::Broker(refused))
            }
        }
    }
}
