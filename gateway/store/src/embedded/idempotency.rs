//! Idempotency records in the file.

use async_trait::async_trait;
use bytes::Bytes;

use super::store::EmbeddedStore;
use crate::idempotency::{Claim, ClaimRequest, IdempotencyStore};
use crate::{ClientBounds, StoreError};

impl EmbeddedStore {
    async fn end_claim(&self, request: &ClaimRequest, answer: Option<Bytes>) -> Result<bool, StoreError> {
        let request = request.clone();
        let end = self.change(move |tables| {
            let (records, now) = tables.idempotency();
            records.end_claim(now, &request, answer.as_deref())
        });
        end.await
    }
}

#[async_trait]
impl IdempotencyStore for EmbeddedStore {
    async fn claim(&self, request: &ClaimRequest, bounds: &ClientBounds) -> Result<Claim<Bytes>, StoreError> {
        let (request, bounds) = (request.clone(), *bounds);
        let claim = self.change(move |tables| {
            let (records, now) = tables.idempotency();
            records.claim(now, &request, &bounds)
        });
        claim.await?.map_err(StoreError::ClientFull)
    }

    async fn complete(&self, request: &ClaimRequest, answer: Bytes) -> Result<bool, StoreError> {
        self.end_claim(request, Some(answer)).await
    }

    async fn release(&self, request: &ClaimRequest) -> Result<bool, StoreError> {
        self.end_claim(request, None).await
    }
}
