//! Watches the services that gateways share, for readiness and metrics.
//!
//! Each is watched on its own, so one that does not answer delays no other.

use std::sync::Arc;

use faceline_gateway_store::{StoreError, StoreHealth};
use faceline_shared::admin::{Condition, ConditionState, Readiness};
use faceline_shared::blob::BlobError;
use faceline_shared::broker::Queue;
use faceline_shared::object::SealedObjects;
use faceline_shared::services::SharedServices;
use prometheus::{IntGauge, IntGaugeVec};
use tokio::sync::watch;
use tokio::time::{Duration, Interval, MissedTickBehavior, interval};

use crate::fault::BusyCause;

/// The interval at which queues and stores are polled.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The interval at which the state of the broker's connections is read. This sends nothing to the broker.
const BROKER_POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The queues whose depth is measured.
const MEASURED_QUEUES: [Queue; 5] =
    [Queue::Interactive, Queue::Replay, Queue::Quarantine, Queue::Results, Queue::DeadLetters];

/// Conditions of readiness: the dispatcher has a reply queue; the store takes writes; the blob store takes pictures;
/// the object store answers.
const BROKER: &str = "gateway_broker";
const STORE: &str = "gateway_store";
const BLOBS: &str = "gateway_blobs";
const OBJECTS: &str = "gateway_objects";

/// The cause with which most requests are refused while the process is degraded. `None` if the process is not degraded,
/// or if it still answers most requests.
pub(crate) fn outage(readiness: &Readiness) -> Option<BusyCause> {
    let degraded = readiness.degraded();
    if degraded.contains(&BROKER) {
        Some(BusyCause::BrokerUnreachable)
    } else if degraded.contains(&STORE) || degraded.contains(&BLOBS) {
        Some(BusyCause::StoreUnreachable)
    } else {
        None
    }
}

/// The conditions of a gateway's services.
pub(crate) struct Dependencies {
    broker: Condition,
    blobs: Condition,
    store: Condition,
    /// Optional: only sessions that keep pictures need the object store.
    objects: Condition,
    objects_up: IntGauge,
    queue_ready: IntGaugeVec,
    queue_consumers: IntGaugeVec,
}

impl Dependencies {
    /// Registers the conditions and metrics.
    pub(crate) fn new(services: &SharedServices) -> Self {
        let (readiness, metrics) = (&services.readiness, &services.metrics);
        Self {
            broker: readiness.condition(BROKER),
            blobs: readiness.condition(BLOBS),
            store: readiness.condition(STORE),
            objects: readiness.optional_condition(OBJECTS),
            objects_up: metrics
                .gauge("faceline_object_store_up", "Whether the object store answers (1 or 0)."),
            queue_ready: metrics.gauges("faceline_queue_ready", "Messages waiting in a queue.", &["queue"]),
            queue_consumers: metrics.gauges("faceline_queue_consumers", "Consumers of a queue.", &["queue"]),
        }
    }

    /// Watches all services for ever. `reply_to` has the name of the dispatcher's reply queue while the broker is
    /// connected.
    pub(crate) async fn watch(
        self,
        services: SharedServices,
        store: Arc<dyn StoreHealth>,
        objects: SealedObjects,
        reply_to: watch::Receiver<Option<String>>,
    ) {
        tokio::join!(
            self.follow_broker(&services, reply_to),
            self.check_store(&services, &*store),
            self.check_blobs(&services),
            self.check_objects(&objects),
            self.measure_queues(&services),
        );
    }

    /// Reports the condition of the broker, which is met while jobs can be published and their results arrive.
    async fn follow_broker(&self, services: &SharedServices, mut reply_to: watch::Receiver<Option<String>>) {
        let mut polls = interval(BROKER_POLL_INTERVAL);
        loop {
            let has_reply_queue = reply_to.borrow_and_update().is_some();
            self.broker.report(match services.broker.health().condition_state() {
                ConditionState::Met if !has_reply_queue => {
                    ConditionState::Degraded("the reply queue is not open".into())
                }
                state => state,
            });
            tokio::select! {
                changed = reply_to.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                _ = polls.tick() => (),
            }
        }
    }

    async fn check_store(&self, services: &SharedServices, store: &dyn StoreHealth) {
        // An embedded store is this instance's own.
        let is_own = services.settings.store.url.is_embedded();
        let mut polls = polls();
        loop {
            polls.tick().await;
            let checked = store.check().await;
            let is_misconfiguration = |error: &StoreError| is_own || error.is_misconfiguration();
            self.store.report(condition_state(checked, is_misconfiguration));
        }
    }

    async fn check_blobs(&self, services: &SharedServices) {
        let mut polls = polls();
        loop {
            polls.tick().await;
            self.blobs.report(condition_state(services.blobs.check().await, BlobError::is_misconfiguration));
        }
    }

    async fn check_objects(&self, objects: &SealedObjects) {
        let mut polls = polls();
        loop {
            polls.tick().await;
            let checked = objects.check().await;
            self.objects_up.set(checked.is_ok().into());
            self.objects.report(condition_state(checked, |_| false));
        }
    }

    async fn measure_queues(&self, services: &SharedServices) {
        let mut polls = polls();
        loop {
            polls.tick().await;
            for queue in MEASURED_QUEUES {
                let labels = [queue.name()];
                if let Ok(depth) = services.broker.depth(&queue).await {
                    self.queue_ready.with_label_values(&labels).set(depth.ready as i64);
                    self.queue_consumers.with_label_values(&labels).set(depth.consumers as i64);
                } else {
                    // An old value would look like a present one. It is no error if there is no value yet.
                    drop(self.queue_ready.remove_label_values(&labels));
                    drop(self.queue_consumers.remove_label_values(&labels));
                }
            }
        }
    }
}

fn polls() -> Interval {
    let mut polls = interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    polls
}

/// The state of a condition after a check.
fn condition_state<E: std::fmt::Display>(
    checked: Result<(), E>,
    is_misconfiguration: impl Fn(&E) -> bool,
) -> ConditionState {
    match checked {
        Ok(()) => ConditionState::Met,
        Err(error) if is_misconfiguration(&error) => ConditionState::Unmet(error.to_string()),
        Err(error) => ConditionState::Degraded(error.to_string()),
    }
}
