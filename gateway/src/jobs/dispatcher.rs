//! Takes an order to the broker and waits for its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::broker::republish::Republisher;
use faceline_shared::broker::{Message, Publish as _, Published, Queue, SharedBroker};
use faceline_shared::error::{BusyCause, Fault};
use faceline_shared::job::{Job, JobEnvelope, JobFailure, Routing};
use faceline_shared::seal::KeyRing;
use faceline_shared::telemetry::Metrics;
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::claim::{Claims, stored_bytes};
use super::metrics::JobMetrics;
use super::pending::{Answer, Letter, Pending, Place};
use super::replies::ReplyLoop;
use super::{Order, OrderError, OrderResult};
use crate::submit::Submit;
use crate::turns::Turns;

/// A message that no worker took is dead-lettered this long after its budget is over. Only a backstop: workers drop
/// what is too old by themselves.
const EXPIRATION_GRACE: Duration = Duration::from_secs(60);
/// A job whose blob got lost (a blob store that was restarted) is sent once more.
const BLOB_ATTEMPTS: u32 = 2;

/// The message that carries a job.
pub(super) fn message(letter: &Letter, reply_to: &str) -> Message {
    let left = letter.deadline.saturating_duration_since(Instant::now());
    Message {
        id: letter.id,
        reply_to: Some(reply_to.to_owned()),
        expiration: Some(left + EXPIRATION_GRACE),
        earlier_attempts: 0,
        body: letter.body.clone(),
    }
}

/// The job side of a gateway.
#[derive(Clone)]
pub struct Dispatcher {
    instance: Arc<str>,
    broker: SharedBroker,
    publisher: Arc<Republisher>,
    blobs: SealedBlobs,
    keys: KeyRing,
    inline_limit: usize,
    /// Of pictures on their way into the blob store.
    turns: Arc<Turns>,
    pending: Pending,
    metrics: JobMetrics,
    reply_to: Arc<watch::Sender<Option<String>>>,
    on_wait: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Dispatcher {
    /// Opens a reply queue for `instance` and listens to it until the broker is closed.
    pub async fn start(
        instance: &str,
        broker: SharedBroker,
        blobs: SealedBlobs,
        keys: KeyRing,
        inline_limit: usize,
        metrics: &Metrics,
    ) -> Self {
        let metrics = JobMetrics::new(metrics);
        let dispatcher = Self {
            instance: instance.into(),
            pending: Pending::new(metrics.pending.clone()),
            reply_to: Arc::new(watch::Sender::new(None)),
            publisher: Arc::new(Republisher::new(broker.clone())),
            broker,
            blobs,
            keys,
            inline_limit,
            turns: Arc::new(Turns::new()),
            metrics,
            on_wait: Arc::new(|_| ()),
        };
        let replies = dispatcher.broker.replies(instance).await;
        let ear = ReplyLoop {
            publisher: Arc::clone(&dispatcher.publisher),
            pending: dispatcher.pending.clone(),
            keys: dispatcher.keys.clone(),
            metrics: dispatcher.metrics.clone(),
            reply_to: dispatcher.reply_to.clone(),
        };
        tokio::spawn(ear.run(replies));
        dispatcher
    }

    /// Calls `on_wait` for each answer with how long its job was outside the worker.
    #[must_use]
    pub fn on_wait(self, on_wait: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self { on_wait: Arc::new(on_wait), ..self }
    }

    /// Changes whenever the way of answers opens or closes.
    #[must_use]
    pub fn watch_connection(&self) -> watch::Receiver<Option<String>> {
        self.reply_to.subscribe()
    }

    async fn attempt(&self, order: &Order, deadline: Instant) -> OrderResult {
        let (_claims, job) =
            timeout_at(deadline.into(), self.check_in(order)).await.unwrap_or_else(|_| {
                tracing::error!(job = %order.id, "the blob store is too slow for a picture");
                Err(OrderError::Busy(BusyCause::StoreUnreachable))
            })?;
        let letter = Letter { id: order.id, body: self.envelope(order, &job)?, deadline };
        drop(job);
        let published_at = Instant::now();
        match self.call(order, &letter).await? {
            Some(Answer { outcome, service }) => {
                let wait = published_at.elapsed().saturating_sub(service);
                self.metrics.wait.observe(wait.as_secs_f64());
                (self.on_wait)(wait);
                Ok(outcome.ok_or(Fault::Internal)??)
            }
            None => Err(self.missed(order).await),
        }
    }

    /// Makes the job; what is too large for a message takes its turn to go to the blob store.
    async fn check_in(&self, order: &Order) -> Result<(Claims, Job), OrderError> {
        let _turn = match stored_bytes(&order.task, self.inline_limit) {
            0 => None,
            bytes => self.turns.take(bytes).await,
        };
        Claims::check_in(&self.blobs, self.inline_limit, order.id, &order.task, order.budget).await.map_err(
            |error| {
                tracing::error!(%error, job = %order.id, "the blob store does not take a picture");
                OrderError::Busy(BusyCause::StoreUnreachable)
            },
        )
    }

    /// Publishes a job and waits for its answer, which may be faster than the confirm; `None` at its deadline.
    async fn call(&self, order: &Order, letter: &Letter) -> Result<Option<Answer>, OrderError> {
        let mut call =
            Call { place: self.pending.insert(letter.clone()), dispatcher: self, order, over: false };
        let answer = tokio::select! {
            biased;
            answer = call.place.wait(letter.deadline) => answer,
            published = self.publish(letter) => {
                call.over = published.is_err();
                published?;
                call.place.wait(letter.deadline).await
            }
        };
        call.over = answer.is_some();
        Ok(answer)
    }

    fn envelope(&self, order: &Order, job: &Job) -> Result<Bytes, Fault> {
        let routing = Routing {
            id: order.id,
            client: order.client.clone(),
            gateway: self.instance.to_string(),
            budget: order.budget,
            traceparent: order.trace.to_string(),
        };
        JobEnvelope::seal(routing, job, &self.keys).and_then(|envelope| envelope.encode()).map_err(|error| {
            tracing::error!(%error, job = %order.id, "a job cannot be sealed");
            Fault::Internal
        })
    }

    async fn publish(&self, letter: &Letter) -> Result<(), OrderError> {
        let unreachable = OrderError::Busy(BusyCause::BrokerUnreachable);
        let Some(reply_to) = self.pending.address(letter.id, &self.reply_to) else { return Err(unreachable) };
        let published = self.publisher.publish(&Queue::Interactive, &message(letter, &reply_to)).await;
        self.metrics.published.with_label_values(&[label(published)]).inc();
        match published {
            // An unknown job may well be on its way, so its caller waits like all others.
            Published::Accepted | Published::Unknown => Ok(()),
            Published::Full => Err(OrderError::Busy(BusyCause::QueueFull)),
            Published::Returned | Published::Unreachable => Err(unreachable),
        }
    }

    /// Why there was no answer in time.
    ///
    /// Nobody reports that a job has started, so this asks the queue: where jobs wait, or nobody takes them, this one
    /// has most likely waited as well.
    async fn missed(&self, order: &Order) -> OrderError {
        let callers_own = order.callers_own_deadline;
        match self.broker.depth(&Queue::Interactive).await {
            Ok(depth) if depth.consumers == 0 => OrderError::Busy(BusyCause::NoWorker),
            Ok(depth) if depth.ready > 0 => OrderError::Busy(BusyCause::DeadlineQueued { callers_own }),
            Ok(_) => Fault::DeadlineRunning { callers_own }.into(),
            Err(_) => OrderError::Busy(BusyCause::BrokerUnreachable),
        }
    }
}

fn label(published: Published) -> &'static str {
    match published {
        Published::Accepted => "accepted",
        Published::Full => "full",
        Published::Returned => "returned",
        Published::Unreachable => "unreachable",
        Published::Unknown => "unknown",
    }
}

#[async_trait]
impl Submit for Dispatcher {
    async fn submit(&self, order: Order) -> OrderResult {
        let deadline = Instant::now() + order.budget;
        let mut attempts = 1;
        loop {
            let result = self.attempt(&order, deadline).await;
            if attempts == BLOB_ATTEMPTS || result != Err(OrderError::Failed(JobFailure::BlobLost)) {
                return result;
            }
            attempts += 1;
            tracing::warn!(job = %order.id, "the job's blob got lost; sending it again");
        }
    }

    fn is_connected(&self) -> bool {
        self.reply_to.borrow().is_some() && self.broker.is_connected()
    }
}

/// A job on its way. Dropped before it is over, the workers are told that nobody waits for it any more.
struct Call<'a> {
    place: Place,
    dispatcher: &'a Dispatcher,
    order: &'a Order,
    over: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.dispatcher.metrics.cancelled.inc();
        let broker = self.dispatcher.broker.clone();
        let cancelled = Announcement::JobCancelled(self.order.id).encode();
        tokio::spawn(async move { broker.announce(cancelled).await });
    }
}
