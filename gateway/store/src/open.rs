//! Opens the store that the settings name, and provides it by capability.

use std::path::Path;
use std::sync::Arc;

use faceline_shared::settings::{StoreSettings, StoreUrl};

use crate::embedded::EmbeddedStore;
use crate::idempotency::IdempotencyStore;
use crate::outbox::OutboxStore;
use crate::redis::RedisStore;
use crate::sessions::SessionStore;
use crate::{StoreError, StoreHealth};

/// One store, as its capabilities. Clones share it.
#[derive(Clone)]
pub struct Stores {
    /// Sessions and their faces.
    pub sessions: Arc<dyn SessionStore>,
    /// The transactional outbox.
    pub outbox: Arc<dyn OutboxStore>,
    /// Idempotency records.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// The health check.
    pub health: Arc<dyn StoreHealth>,
}

impl Stores {
    /// The capabilities of `store`.
    #[must_use]
    pub fn of(store: impl SessionStore + OutboxStore + IdempotencyStore + StoreHealth + 'static) -> Self {
        let store = Arc::new(store);
        Self { sessions: store.clone(), outbox: store.clone(), idempotency: store.clone(), health: store }
    }
}

/// Opens the store that `settings` name: a file in `data_dir`, which is opened now, or a Redis server, to which the
/// first use connects.
///
/// # Errors
/// [`StoreError::Url`], [`StoreError::Tls`]; for a file also [`StoreError::Broken`] and [`StoreError::Full`].
pub fn open(settings: &StoreSettings, data_dir: &Path) -> Result<Stores, StoreError> {
    match &settings.url {
        StoreUrl::Embedded => Ok(Stores::of(EmbeddedStore::open(data_dir)?)),
        StoreUrl::Redis(url) => Ok(Stores::of(RedisStore::new(url, &settings.tls)?)),
    }
}
