//! The consuming loop, and its drain.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::broker::RetryingPublisher;
use faceline_shared::broker::{Delivery, Queue, Settlement, SharedBroker};
use faceline_shared::job::{JobEnvelope, JobFailure, MessageError};
use faceline_shared::seal::KeyRing;
use faceline_shared::shutdown::CancellationToken;
use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use super::clock_skew::ClockSkew;
use super::consuming_period::ConsumingPeriod;
use super::expiring_set::ExpiringSet;
use super::fetch::TaskFetcher;
use super::handler::{Handler, Unavailable};
use super::metrics::WorkerMetrics;
use super::quarantine::{self, Quarantine};
use super::reply::Replier;
use super::settle::settle;
use super::task_runner::JobTimes;

/// An envelope of another version is delivered this often, since newer workers may take it, before it goes to the dead
/// letters.
const MAX_VERSION_ATTEMPTS: u32 = 5;
/// Clocks of two machines may differ by this much before a job counts as expired.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// How long ids of cancelled jobs are kept: the longest time that a job may wait.
const CANCELLED_JOB_TTL: Duration = Duration::from_secs(120);
/// Most ids of cancelled jobs that are kept.
const MAX_CANCELLED_JOBS: usize = 10_000;

/// Takes jobs from the broker and publishes their answers.
pub struct Consumer {
    broker: SharedBroker,
    handler: Arc<dyn Handler>,
    fetcher: TaskFetcher,
    replier: Replier,
    quarantine: Quarantine,
    metrics: WorkerMetrics,
    clock_skew: ClockSkew,
    /// The handler's free slots.
    slots: Arc<Semaphore>,
    all_slots: u32,
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
            fetcher: TaskFetcher { blobs, keys },
            clock_skew: ClockSkew::new(metrics.smallest_age.clone()),
            broker,
            handler,
            metrics,
            slots: Arc::new(Semaphore::new(slots)),
            all_slots: slots as u32,
            cancelled: ExpiringSet::new(MAX_CANCELLED_JOBS, CANCELLED_JOB_TTL),
        }
    }

    /// Takes up to `prefetch` jobs at a time until `shutdown`. Then gives back the jobs that have not started, and
    /// finishes those that have. While the handler is unavailable, it has no streams, so that other workers get the
    /// jobs.
    pub async fn run(self, prefetch: u16, shutdown: CancellationToken) {
        let consumer = Arc::new(self);
        let tasks = TaskTracker::new();
        let mut announcements = consumer.broker.announcements().await;
        let mut availability = consumer.handler.availability();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = availability.until(true) => {}
                Some(body) = announcements.recv() => {
                    consumer.note_cancellation(&body);
                    continue;
                }
            }
            let period = ConsumingPeriod::new(&shutdown);
            let taken = Arc::clone(&consumer).take_jobs(prefetch, &period, &mut announcements, &tasks).await;
            if taken.is_break() {
                break;
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Opens the streams and takes jobs from them until the period ends, then closes them. Breaks if the broker was
    /// closed.
    async fn take_jobs(
        self: Arc<Self>,
        prefetch: u16,
        period: &ConsumingPeriod,
        announcements: &mut mpsc::Receiver<Bytes>,
        tasks: &TaskTracker,
    ) -> ControlFlow<()> {
        let mut interactive = self.broker.consume(&Queue::Interactive, prefetch).await;
        let mut quarantine = self.broker.consume(&Queue::Quarantine, 1).await;
        let end = loop {
            let (queue, delivery) = tokio::select! {
                () = period.ending.cancelled() => break ControlFlow::Continue(()),
                Some(body) = announcements.recv() => {
                    self.note_cancellation(&body);
                    continue;
                }
                delivery = interactive.next() => (Queue::Interactive, delivery),
                delivery = quarantine.next() => (Queue::Quarantine, delivery),
            };
            let Some(delivery) = delivery else { break ControlFlow::Break(()) };
            tasks.spawn(Arc::clone(&self).process(queue, delivery, period.clone()));
        };
        period.ending.cancel();
        drop(interactive);
        while let Some(Some(delivery)) = quarantine.next().now_or_never() {
            let settlement = self.quarantine.append(&delivery).await;
            settle(&delivery, settlement).await;
        }
        drop(quarantine);
        period.streams_closed.cancel();
        end
    }

    fn note_cancellation(&self, body: &Bytes) {
        if let Some(Announcement::JobCancelled(id)) = Announcement::decode(body) {
            self.cancelled.insert(id);
        }
    }

    async fn process(self: Arc<Self>, queue: Queue, delivery: Delivery, period: ConsumingPeriod) {
        if delivery.attempts > 0 {
            self.metrics.redelivered.with_label_values(&[queue.name()]).inc();
        }
        let envelope = match JobEnvelope::decode(&delivery.message.body) {
            Ok(envelope) => envelope,
            Err(error) => return settle(&delivery, self.settle_unreadable(&delivery, &error)).await,
        };
        let span = tracing::info_span!("job", job = %envelope.id, trace = envelope.traceparent);
        if quarantine::must_move(&queue, &delivery) {
            return self.quarantine.bring(&delivery).instrument(span).await;
        }
        let settlement = self.work(&queue, &delivery, &envelope, &period).instrument(span).await;
        settle(&delivery, settlement).await;
    }

    fn settle_unreadable(&self, delivery: &Delivery, error: &MessageError) -> Settlement {
        if matches!(error, MessageError::Version(_)) && delivery.attempts < MAX_VERSION_ATTEMPTS {
            return Settlement::Failed;
        }
        tracing::error!(%error, job = %delivery.message.id, "a message goes to the dead letters");
        self.metrics.dropped("unreadable");
        Settlement::DeadLetter
    }

    /// Does a job and publishes its answer. Returns how to settle the delivery.
    async fn work(
        &self,
        queue: &Queue,
        delivery: &Delivery,
        envelope: &JobEnvelope,
        period: &ConsumingPeriod,
    ) -> Settlement {
        let Some(reply_to) = &delivery.message.reply_to else {
            tracing::error!("a job names no queue for its answer");
            self.metrics.dropped("unreadable");
            return Settlement::DeadLetter;
        };
        if quarantine::is_poison(queue, delivery) {
            return self.answer_poison(delivery, envelope, reply_to).await;
        }
        let quarantined = *queue == Queue::Quarantine;
        if quarantined {
            self.quarantine.wait_for_moves().await;
        }
        if self.is_unwanted(envelope, reply_to) {
            return Settlement::Ack;
        }
        self.clock_skew.record(envelope);
        let age = envelope.age();
        if age > envelope.budget() + CLOCK_TOLERANCE {
            let expired = Err(JobFailure::Expired { age_ms: age.as_millis() as u64 });
            return self.replier.reply(envelope, reply_to, &expired, Duration::ZERO).await;
        }

        let fetching = Instant::now();
        let task = self.fetcher.fetch(envelope).await;
        self.metrics.stage("fetch", fetching.elapsed());
        let Some(slots) = self.acquire_slots(quarantined, period).await else {
            return self.give_back(quarantined, delivery, period).await;
        };
        if self.is_unwanted(envelope, reply_to) {
            return Settlement::Ack;
        }
        self.metrics.stage("queue", envelope.age());
        let started = Instant::now();
        let (outcome, times) = match task {
            Ok(task) => {
                self.metrics.running.inc();
                let handled = self.handler.handle(task).await;
                self.metrics.running.dec();
                match handled {
                    Ok(handled) => handled,
                    Err(Unavailable) => {
                        drop(slots);
                        tracing::warn!("no model runs; the job goes back to its queue");
                        period.ending.cancel();
                        return self.give_back(quarantined, delivery, period).await;
                    }
                }
            }
            Err(failure) => (Err(failure), JobTimes::default()),
        };
        let service = started.elapsed();
        drop(slots);
        self.metrics.stage("decode", times.decode);
        self.metrics.stage("infer", times.infer);
        self.replier.reply(envelope, reply_to, &outcome, service).await
    }

    async fn answer_poison(&self, delivery: &Delivery, envelope: &JobEnvelope, reply_to: &str) -> Settlement {
        let attempts = delivery.total_attempts();
        tracing::error!(attempts, "the job ends its workers; it goes to the dead letters");
        let poison = Err(JobFailure::Poison { attempts });
        match self.replier.reply(envelope, reply_to, &poison, Duration::ZERO).await {
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
        period.ending.run_until_cancelled(slots).await?.ok()
    }

    /// Returns how to give back a job that was not done.
    async fn give_back(
        &self,
        quarantined: bool,
        delivery: &Delivery,
        period: &ConsumingPeriod,
    ) -> Settlement {
        period.streams_closed.cancelled().await;
        // In the quarantine a counted attempt makes a job poison, and brokers before RabbitMQ 4 count jobs that are
        // given back.
        if quarantined { self.quarantine.append(delivery).await } else { Settlement::GiveBack }
    }

    /// Whether nobody waits for the answer any more.
    fn is_unwanted(&self, envelope: &JobEnvelope, reply_to: &String) -> bool {
        if self.cancelled.contains(&envelope.id) {
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
