//! The way of a job through a worker: looked at, fetched, done, answered, acknowledged.
//!
//! A worker keeps nothing: an answer is confirmed by the broker before its job is acknowledged, so whoever dies, the
//! job or its answer is still there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Delivery, Message, Publish as _, Published, Queue, Settlement, SharedBroker};
use faceline_shared::job::{
    CarriedPicture, JobEnvelope, JobFailure, MessageError, Outcome, ReplyEnvelope, Task,
};
use faceline_shared::retry::Backoff;
use faceline_shared::seal::KeyRing;
use faceline_shared::shutdown::CancellationToken;
use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use super::expiring::ExpiringSet;
use super::handler::{Handler, Times};
use super::metrics::WorkerMetrics;

/// From this many failed attempts on, a job is done alone.
const QUARANTINE_FROM: u32 = 2;
/// An envelope of another version is offered this often, since newer workers may be there.
const VERSION_ATTEMPTS: u32 = 5;
/// Clocks of two machines may differ by this much before a job counts as too old.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// Ids of cancelled jobs are kept for the longest time that a job may wait.
const CANCELLED_TTL: Duration = Duration::from_secs(120);
/// Reply queues are never opened again under the same name; their late jobs end by then.
const GONE_TTL: Duration = Duration::from_secs(600);
/// Gateways in the metric of clocks.
const MOST_GATEWAYS: usize = 256;

/// The end of a worker: first nothing starts any more, then what waits goes back.
#[derive(Clone)]
struct Stop {
    asked: CancellationToken,
    streams_ended: CancellationToken,
}

/// Takes jobs from the broker and brings answers back.
pub struct Consumer {
    broker: SharedBroker,
    publisher: RetryingPublisher,
    blobs: SealedBlobs,
    keys: KeyRing,
    handler: Arc<dyn Handler>,
    metrics: WorkerMetrics,
    places: Arc<Semaphore>,
    all_places: u32,
    cancelled: ExpiringSet<Uuid>,
    gone: ExpiringSet<String>,
    smallest_ages: Mutex<HashMap<String, i64>>,
    /// Read by whoever brings a job to quarantine, until the broker has heard that it left its queue; written by whoever
    /// does such a job, which may end the process, and with it what the broker has not heard.
    moving: RwLock<()>,
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
        let places = handler.slots().max(1);
        Self {
            publisher: RetryingPublisher::new(broker.clone()),
            broker,
            blobs,
            keys,
            handler,
            metrics,
            places: Arc::new(Semaphore::new(places)),
            all_places: places as u32,
            cancelled: ExpiringSet::new(10_000, CANCELLED_TTL),
            gone: ExpiringSet::new(1_000, GONE_TTL),
            smallest_ages: Mutex::default(),
            moving: RwLock::default(),
        }
    }

    /// Takes up to `prefetch` jobs at a time until `shutdown`; then gives back what has not started, and finishes what
    /// has.
    pub async fn run(self, prefetch: u16, shutdown: CancellationToken) {
        let consumer = Arc::new(self);
        let tasks = TaskTracker::new();
        let stop = Stop { asked: shutdown.clone(), streams_ended: CancellationToken::new() };
        let mut interactive = consumer.broker.consume(&Queue::Interactive, prefetch).await;
        let mut quarantine = consumer.broker.consume(&Queue::Quarantine, 1).await;
        let mut announcements = consumer.broker.announcements().await;
        loop {
            let (queue, delivery) = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(body) = announcements.recv() => {
                    consumer.cancel(&body);
                    continue;
                }
                delivery = interactive.next() => (Queue::Interactive, delivery),
                delivery = quarantine.next() => (Queue::Quarantine, delivery),
            };
            let Some(delivery) = delivery else { break };
            tasks.spawn(Arc::clone(&consumer).deliver(queue, delivery, stop.clone()));
        }
        // The streams end before jobs are given back, or the same ones would be delivered here again.
        drop(interactive);
        while let Some(Some(delivery)) = quarantine.next().now_or_never() {
            let settlement = consumer.quarantine(&delivery).await;
            consumer.settle(&delivery, settlement).await;
        }
        drop(quarantine);
        stop.streams_ended.cancel();
        tasks.close();
        tasks.wait().await;
    }

    fn cancel(&self, body: &Bytes) {
        if let Some(Announcement::JobCancelled(id)) = Announcement::decode(body) {
            self.cancelled.insert(id);
        }
    }

    async fn deliver(self: Arc<Self>, queue: Queue, delivery: Delivery, stop: Stop) {
        if let Some(settlement) = self.decide(&queue, &delivery, &stop).await {
            self.settle(&delivery, settlement).await;
        }
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) {
        if let Err(error) = delivery.settle(settlement).await {
            // The broker has the message back and will deliver it again; the gateway drops the second answer.
            tracing::warn!(%error, job = %delivery.message.id, ?settlement, "a settlement had no effect");
        }
    }

    /// What is to become of a delivery; `None` where it is settled.
    async fn decide(&self, queue: &Queue, delivery: &Delivery, stop: &Stop) -> Option<Settlement> {
        if delivery.attempts > 0 {
            self.metrics.redelivered.with_label_values(&[queue.name()]).inc();
        }
        let envelope = match JobEnvelope::decode(&delivery.message.body) {
            Ok(envelope) => envelope,
            Err(error) => return Some(self.unreadable(delivery, &error)),
        };
        let span = tracing::info_span!("job", job = %envelope.id, trace = envelope.traceparent);
        if *queue != Queue::Quarantine && delivery.attempts >= QUARANTINE_FROM {
            self.bring_to_quarantine(delivery).instrument(span).await;
            return None;
        }
        Some(self.work(queue, delivery, &envelope, stop).instrument(span).await)
    }

    fn unreadable(&self, delivery: &Delivery, error: &MessageError) -> Settlement {
        if matches!(error, MessageError::Version(_)) && delivery.attempts < VERSION_ATTEMPTS {
            return Settlement::Failed;
        }
        tracing::error!(%error, job = %delivery.message.id, "a message goes to the dead letters");
        self.dropped("unreadable");
        Settlement::DeadLetter
    }

    async fn work(
        &self,
        queue: &Queue,
        delivery: &Delivery,
        envelope: &JobEnvelope,
        stop: &Stop,
    ) -> Settlement {
        let Some(reply_to) = &delivery.message.reply_to else {
            tracing::error!("a job names no queue for its answer");
            self.dropped("unreadable");
            return Settlement::DeadLetter;
        };
        let quarantined = *queue == Queue::Quarantine;
        if quarantined && delivery.attempts > 0 {
            let attempts = delivery.total_attempts();
            tracing::error!(attempts, "the job ends its workers; it goes to the dead letters");
            return match self
                .reply(envelope, reply_to, &Err(JobFailure::Poison { attempts }), Duration::ZERO)
                .await
            {
                Settlement::Ack => Settlement::DeadLetter,
                other => other,
            };
        }
        if quarantined {
            drop(self.moving.write().await);
        }
        if self.is_unwanted(envelope, reply_to) {
            return Settlement::Ack;
        }
        self.note_age(envelope);
        let age = envelope.age();
        if age > envelope.budget() + CLOCK_TOLERANCE {
            let age_ms = age.as_millis() as u64;
            return self
                .reply(envelope, reply_to, &Err(JobFailure::Expired { age_ms }), Duration::ZERO)
                .await;
        }

        let fetched = Instant::now();
        let task = self.fetch(envelope).await;
        self.stage("fetch", fetched.elapsed());
        let Some(places) = self.place(quarantined, stop).await else {
            stop.streams_ended.cancelled().await;
            // A count in quarantine condemns, and brokers before RabbitMQ 4 count what is given back.
            return if quarantined { self.quarantine(delivery).await } else { Settlement::GiveBack };
        };
        if self.is_unwanted(envelope, reply_to) {
            return Settlement::Ack;
        }
        self.stage("queue", envelope.age());
        let started = Instant::now();
        let (outcome, times) = match task {
            Ok(task) => {
                self.metrics.running.inc();
                let done = self.handler.handle(task).await;
                self.metrics.running.dec();
                done
            }
            Err(failure) => (Err(failure), Times::default()),
        };
        let service = started.elapsed();
        drop(places);
        self.stage("decode", times.decode);
        self.stage("infer", times.infer);
        self.reply(envelope, reply_to, &outcome, service).await
    }

    /// Room to work in: all of it for a job in quarantine, so that it takes no other one with it.
    async fn place(&self, quarantined: bool, stop: &Stop) -> Option<OwnedSemaphorePermit> {
        let wanted = if quarantined { self.all_places } else { 1 };
        let places = Arc::clone(&self.places).acquire_many_owned(wanted);
        stop.asked.run_until_cancelled(places).await?.ok()
    }

    fn is_unwanted(&self, envelope: &JobEnvelope, reply_to: &String) -> bool {
        if self.cancelled.contains(&envelope.id) {
            self.dropped("cancelled");
            return true;
        }
        if self.gone.contains(reply_to) {
            self.dropped("gateway_gone");
            return true;
        }
        false
    }

    /// Moves a job, and waits until the broker has it in one queue alone.
    async fn bring_to_quarantine(&self, delivery: &Delivery) {
        let _moving = self.moving.read().await;
        let settlement = self.quarantine(delivery).await;
        self.settle(delivery, settlement).await;
        if let Err(error) = delivery.flush_settlements().await {
            tracing::warn!(%error, job = %delivery.message.id, "the job may be in two queues");
        }
    }

    /// Puts the job at the quarantine's end; what failed so far is kept in mind, and counts no more there.
    async fn quarantine(&self, delivery: &Delivery) -> Settlement {
        let attempts = delivery.total_attempts();
        tracing::warn!(job = %delivery.message.id, attempts, "the job goes to quarantine");
        let message = Message { earlier_attempts: attempts, ..delivery.message.clone() };
        match self.publisher.publish(&Queue::Quarantine, &message).await {
            Published::Accepted => Settlement::Ack,
            published => {
                tracing::warn!(?published, "the quarantine does not take the job");
                Settlement::GiveBack
            }
        }
    }

    async fn fetch(&self, envelope: &JobEnvelope) -> Result<Task<Bytes>, JobFailure> {
        let task = envelope.open(&self.keys).map_err(|error| {
            tracing::error!(%error, "a job does not open; do gateway and worker share their keys?");
            JobFailure::Internal
        })?;
        task.map(|_, picture| self.bytes(picture)).resolve().await
    }

    async fn bytes(&self, picture: CarriedPicture) -> Result<Bytes, JobFailure> {
        match picture {
            CarriedPicture::Inline(bytes) => Ok(bytes),
            CarriedPicture::Blob { key } => match self.blobs.get(&key).await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(JobFailure::BlobLost),
                Err(error) => {
                    tracing::error!(%error, "a picture cannot be fetched");
                    Err(JobFailure::BlobLost)
                }
            },
        }
    }

    /// Publishes the answer; says what is to become of the job then.
    async fn reply(
        &self,
        envelope: &JobEnvelope,
        reply_to: &str,
        outcome: &Outcome,
        service: Duration,
    ) -> Settlement {
        let encoding = Instant::now();
        let body =
            ReplyEnvelope::seal(envelope.id, outcome, service, &self.keys).and_then(|reply| reply.encode());
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "an answer cannot be sealed");
                return Settlement::Failed;
            }
        };
        self.stage("encode", encoding.elapsed());
        let message =
            Message { id: envelope.id, reply_to: None, expiration: None, earlier_attempts: 0, body };
        match self.post(envelope, &Queue::Reply(reply_to.to_owned()), &message).await {
            Published::Accepted => {
                self.metrics.answered.with_label_values(&[label(outcome)]).inc();
                Settlement::Ack
            }
            Published::Returned => {
                // The gateway has another queue by now and has sent its jobs again, or it is gone for good.
                self.gone.insert(reply_to.to_owned());
                self.dropped("gateway_gone");
                Settlement::Ack
            }
            Published::Full | Published::Unreachable | Published::Unknown => {
                tracing::warn!("the answer did not get through in time");
                Settlement::GiveBack
            }
        }
    }

    /// Publishes an answer, again and again while the broker does not take it and somebody may wait for it: giving the
    /// job back instead would have it done again, and would count against it at brokers before RabbitMQ 4.
    async fn post(&self, envelope: &JobEnvelope, queue: &Queue, message: &Message) -> Published {
        let mut retries = Backoff::REQUEST.retries();
        loop {
            let published = self.publisher.publish(queue, message).await;
            let refused = matches!(published, Published::Full | Published::Unreachable | Published::Unknown);
            if !refused || envelope.age() > envelope.budget() {
                return published;
            }
            tracing::warn!(?published, "the answer does not get through yet");
            retries.wait().await;
        }
    }

    fn note_age(&self, envelope: &JobEnvelope) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let age = now - i64::try_from(envelope.published_at).unwrap_or(i64::MAX);
        let mut ages = self.smallest_ages.lock().unwrap_or_else(PoisonError::into_inner);
        if ages.len() == MOST_GATEWAYS && !ages.contains_key(&envelope.gateway) {
            return;
        }
        let smallest = ages.entry(envelope.gateway.clone()).or_insert(i64::MAX);
        if age < *smallest {
            *smallest = age;
            self.metrics.smallest_age.with_label_values(&[&envelope.gateway]).set(age);
        }
    }

    fn stage(&self, stage: &str, time: Duration) {
        self.metrics.stages.with_label_values(&[stage]).observe(time.as_secs_f64());
    }

    fn dropped(&self, reason: &str) {
        self.metrics.dropped.with_label_values(&[reason]).inc();
    }
}

fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(JobFailure::BadPicture { .. }) => "bad_picture",
        Err(JobFailure::SeveralFaces { .. }) => "several_faces",
        Err(JobFailure::NoFace { .. }) => "no_face",
        Err(JobFailure::OtherAlgorithm { .. }) => "other_algorithm",
        Err(JobFailure::BlobLost) => "blob_lost",
        Err(JobFailure::Expired { .. }) => "expired",
        Err(JobFailure::Poison { .. }) => "poison",
        Err(JobFailure::Internal) => "internal",
    }
}
