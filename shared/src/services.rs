//! Services that the roles of one process share.

use std::sync::Arc;

use crate::admin::Readiness;
use crate::blob::{self, BlobError, SealedBlobs};
use crate::broker::{self, BrokerError, SharedBroker};
use crate::keys::{Keys, KeysError};
use crate::object::{self, ObjectError, ObjectStore};
use crate::settings::Settings;
use crate::telemetry::Metrics;

/// Settings, keys, broker, blob store and telemetry of a process. In the standalone program gateway and worker get the same
/// ones, which is why the embedded adapters work there.
#[derive(Clone)]
pub struct SharedServices {
    /// The settings.
    pub settings: Settings,
    /// The installation's keys.
    pub keys: Keys,
    /// The broker between gateway and worker.
    pub broker: SharedBroker,
    /// The store of pictures on their way to a worker.
    pub blobs: SealedBlobs,
    /// The store of videos on their way to a worker, of sessions' pictures, and of usage records.
    pub objects: Arc<dyn ObjectStore>,
    /// Metrics, which `/metrics` shows.
    pub metrics: Metrics,
    /// Conditions of readiness, which `/readyz` shows.
    pub readiness: Readiness,
}

/// Reason why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The keys cannot be loaded.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The broker's settings are wrong. A broker that is merely unreachable is no error.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The blob store's settings are wrong. A store that is merely unreachable is no error.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The object store's settings are wrong. A store that is merely unreachable is no error.
    #[error(transparent)]
    Objects(#[from] ObjectError),
}

impl SharedServices {
    /// Opens the services that `settings` name. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ServicesError`]: keys that cannot be read, addresses that cannot be parsed.
    pub fn open(settings: Settings) -> Result<Self, ServicesError> {
        let keys = Keys::load(&settings)?;
        let metrics = Metrics::new();
        keys.follow(&settings, &metrics)?;
        let broker = broker::open(&settings.broker)?;
        let blobs =
            SealedBlobs::new(blob::open(settings.blobs_url(), settings.blobs_tls())?, keys.data.clone());
        let objects = object::open(&settings.objects, &settings.data_dir)?;
        broker::export_health(&broker, &metrics);
        for (name, tls) in [
            ("broker.tls", &settings.broker.tls),
            ("store.tls", &settings.store.tls),
            ("blobs.tls", &settings.blobs.tls),
        ] {
            if let Some(certificate) = &tls.certificate {
                metrics.certificates().show_file(name, certificate);
            }
        }
        let readiness = Readiness::with_metrics(&metrics);
        Ok(Self { keys, broker, blobs, objects, metrics, readiness, settings })
    }
}
