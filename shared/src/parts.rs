//! What the roles of one process share.

use crate::admin::Readiness;
use crate::blob::{self, BlobError, SealedBlobs};
use crate::broker::{self, BrokerError, SharedBroker};
use crate::config::Config;
use crate::keys::{Keys, KeysError};
use crate::telemetry::Metrics;

/// Settings, keys, broker, stores and telemetry of a process. In the standalone program gateway and worker get the same
/// ones, which is what makes the embedded adapters work.
#[derive(Clone)]
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The installation's keys.
    pub keys: Keys,
    /// The way to the other role.
    pub broker: SharedBroker,
    /// Pictures on their way.
    pub blobs: SealedBlobs,
    /// For /metrics.
    pub metrics: Metrics,
    /// For /readyz.
    pub readiness: Readiness,
}

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The broker's settings. A broker that is merely away is waited for.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The blob store's settings. A store that is merely away is waited for.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

impl Parts {
    /// Opens what `config` names. Call it inside the runtime.
    ///
    /// # Errors
    /// Keys that cannot be read, addresses that cannot be understood.
    pub fn open(config: Config) -> Result<Self, PartsError> {
        let keys = Keys::load(&config)?;
        let broker = broker::open(&config.broker)?;
        let blobs = SealedBlobs::new(blob::open(config.blobs_url())?, keys.data.clone());
        Ok(Self { keys, broker, blobs, metrics: Metrics::new(), readiness: Readiness::new(), config })
    }
}
