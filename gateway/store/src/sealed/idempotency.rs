//! The sealing layer of the idempotency records.

use std::sync::Arc;

use faceline_shared::seal::{KeyRing, Purpose};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::RecordError;
use super::sealer::RecordSealer;
use crate::ClientBounds;
use crate::idempotency::{Claim, ClaimRequest, IdempotencyStore};

/// Idempotency records whose answers are sealed.
#[derive(Clone)]
pub struct SealedIdempotency {
    store: Arc<dyn IdempotencyStore>,
    sealer: RecordSealer,
}

impl SealedIdempotency {
    /// Wraps `store`, and seals with `ring`.
    #[must_use]
    pub fn new(store: Arc<dyn IdempotencyStore>, ring: KeyRing) -> Self {
        Self { store, sealer: RecordSealer::new(ring) }
    }

    /// Claims a key, as [`IdempotencyStore::claim`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Seal`] and [`RecordError::Form`] if the answer does not open.
    pub async fn claim<A: DeserializeOwned>(
        &self,
        request: &ClaimRequest,
        bounds: &ClientBounds,
    ) -> Result<Claim<A>, RecordError> {
        Ok(match self.store.claim(request, bounds).await? {
            Claim::Acquired { resource } => Claim::Acquired { resource },
            Claim::InProgress(left) => Claim::InProgress(left),
            Claim::Completed(answer) => Claim::Completed(self.sealer.open(
                Purpose::Answer,
                answer_associated_data(request),
                answer,
            )?),
            Claim::Mismatch => Claim::Mismatch,
        })
    }

    /// Ends a claim and keeps its answer, as [`IdempotencyStore::complete`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the answer cannot be sealed.
    pub async fn complete(
        &self,
        request: &ClaimRequest,
        answer: &impl Serialize,
    ) -> Result<bool, RecordError> {
        let answer = self.sealer.seal(Purpose::Answer, answer_associated_data(request), answer)?;
        Ok(self.store.complete(request, answer).await?)
    }

    /// Ends a claim without an answer, as [`IdempotencyStore::release`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn release(&self, request: &ClaimRequest) -> Result<bool, RecordError> {
        Ok(self.store.release(request).await?)
    }
}

fn answer_associated_data(request: &ClaimRequest) -> Vec<u8> {
    [b"sessions/once/".as_slice(), &request.key].concat()
}
