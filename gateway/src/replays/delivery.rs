//! The background work for replays: publishing jobs, consuming results, and sending callbacks to service providers.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::sealed::{SealedOutbox, SealedSessions};
use faceline_shared::broker::{RetryingPublisher, SharedBroker};
use faceline_shared::object::SealedObjects;
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::Settings;
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::Metrics;

use super::best_image::BestImageFaces;
use super::callbacks::{CallbackParts, CallbackProcessor, CallbackSender};
use super::ending::ReplayEnds;
use super::processor::ReplayProcessor;
use super::publishing::JobPublisher;
use super::results::ResultConsumer;
use super::service::Replays;
use super::unreadable::UnreadableResults;
use crate::accounts::Accounts;

/// Multiple of `replay.deadline` after which a result is of no use, since its replay has long ended.
const RESULT_LIFETIME: u32 = 8;
/// Minimum time for which a result that cannot be read is kept.
const MIN_RESULT_LIFETIME: Duration = Duration::from_mins(10);

/// The dependencies of the delivery of replays.
pub struct DeliveryServices {
    /// The sessions' records.
    pub records: SealedSessions,
    /// The outbox.
    pub outbox: SealedOutbox,
    /// The broker.
    pub broker: SharedBroker,
    /// The keys that seal jobs and results.
    pub keys: KeyRing,
    /// The store of sessions' pictures.
    pub images: SealedObjects,
    /// Makes faces of best images.
    pub faces: Arc<dyn BestImageFaces>,
    /// The hosts that clients' callbacks may go to, and the keys that sign them.
    pub accounts: Arc<Accounts>,
    /// Name of the gateway in the jobs' routing fields.
    pub instance: String,
}

/// Takes replays from their upload to the callback.
pub struct ReplayDelivery {
    /// The outbox, if the broker is embedded and has therefore lost the jobs that the last process published.
    lost_with_broker: Option<SealedOutbox>,
    processor: ReplayProcessor,
    results: ResultConsumer,
    callbacks: CallbackProcessor,
}

impl ReplayDelivery {
    /// The delivery of `replays`.
    ///
    /// # Errors
    /// The TLS client that calls service providers cannot be set up.
    pub fn new(
        replays: &Arc<Replays>,
        services: DeliveryServices,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Self, rustls::Error> {
        let DeliveryServices { records, outbox, broker, keys, images, faces, accounts, instance } = services;
        let deadline = settings.replay.deadline;
        let ends = ReplayEnds::new(records.clone(), Arc::clone(&replays.due_signals), metrics);
        let publisher = JobPublisher::new(
            RetryingPublisher::new(broker.clone()),
            keys.clone(),
            instance,
            deadline,
            ends.metrics.clone(),
        );
        let outbox_metrics = replays.sessions.outbox_metrics();
        let callbacks = CallbackParts {
            records,
            outbox: outbox.clone(),
            accounts,
            sender: CallbackSender::new(&settings.callbacks)?,
            row_is_due: Arc::clone(&replays.due_signals.callbacks),
            outbox_metrics: outbox_metrics.clone(),
        };
        let lifetime = deadline.saturating_mul(RESULT_LIFETIME).max(MIN_RESULT_LIFETIME);
        Ok(Self {
            lost_with_broker: settings.broker.url.is_embedded().then(|| outbox.clone()),
            processor: ReplayProcessor::new(replays, ends.clone(), outbox, publisher, outbox_metrics),
            results: ResultConsumer {
                replays: Arc::clone(replays),
                broker,
                keys,
                ends,
                images,
                faces,
                unreadable: UnreadableResults::new(lifetime),
            },
            callbacks: CallbackProcessor::new(callbacks, &settings.callbacks, metrics),
        })
    }

    /// Runs until `shutdown`, and then finishes the work in progress.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { lost_with_broker, processor, results, callbacks } = self;
        if let Some(outbox) = lost_with_broker
            && let Err(error) = ReplayProcessor::repeat_lost_jobs(&outbox).await
        {
            tracing::warn!(%error, "jobs of replays that the last process had published are published again at their deadline");
        }
        tokio::join!(processor.run(shutdown.clone()), results.run(shutdown.clone()), callbacks.run(shutdown));
    }
}
