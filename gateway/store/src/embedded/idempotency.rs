//! Idempotency records in the file.

use async_trait::async_trait;
use bytes::Bytes;

use super::store::EmbeddedStore;
use crate::StoreError;
use crate::idempotency::{Claim, ClaimRequest, IdempotencyStore};

impl EmbeddedStore {
    async fn end_claim(&self, request: &ClaimRequest, answer: Option<Bytes>) -> Result<bool, StoreError> {
        let request = *request;
        let end = self.change(move |tables| {
            let (records, now) = tables.idempotency();
            records.end_claim(now, &request, answer.as_deref())
        });
        end.await
    }
}

#[async_trait]
impl IdempotencyStore for EmbeddedStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim<Bytes>, StoreError> {
        let request = *request;
        let claim = self.change(move |tables| {
            let (records, now) = tables.idempotency();
            records.claim(now, &request)
        });
        claim.await
    }

    async fn complete(&self, request: &ClaimRequest, answer: Bytes) -> Result<bool, StoreError> {
        self.end_claim(request, Some(answer)).await
    }

    async fn release(&self, request: &ClaimRequest) -> Result<bool, StoreError> {
        self.end_claim(request, None).await
    }
}
