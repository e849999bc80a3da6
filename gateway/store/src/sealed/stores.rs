//! The sealing layers of one store.

use std::sync::Arc;

use faceline_shared::seal::KeyRing;

use super::idempotency::SealedIdempotency;
use super::outbox::SealedOutbox;
use super::sessions::SealedSessions;
use crate::{StoreHealth, Stores};

/// One store behind its sealing layers, by capability.
#[derive(Clone)]
pub struct SealedStores {
    /// Sessions and their faces.
    pub sessions: SealedSessions,
    /// The transactional outbox.
    pub outbox: SealedOutbox,
    /// Idempotency records.
    pub idempotency: SealedIdempotency,
    /// The health check.
    pub health: Arc<dyn StoreHealth>,
}

impl SealedStores {
    /// Wraps `stores`, and seals with `ring`.
    #[must_use]
    pub fn new(stores: Stores, ring: KeyRing) -> Self {
        Self {
            sessions: SealedSessions::new(stores.sessions, ring.clone()),
            outbox: SealedOutbox::new(stores.outbox, ring.clone()),
            idempotency: SealedIdempotency::new(stores.idempotency, ring),
            health: stores.health,
        }
    }
}
