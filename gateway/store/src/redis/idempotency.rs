//! Idempotency records in Redis.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::keys::idempotency_key;
use super::scripts::change;
use super::store::{RedisStore, unexpected};
use crate::StoreError;
use crate::idempotency::{Claim, ClaimRequest, IdempotencyStore};
use crate::millis::millis;

impl RedisStore {
    async fn end_claim(&self, request: &ClaimRequest, answer: Option<Bytes>) -> Result<bool, StoreError> {
        let mut call = change(&self.scripts.end_claim);
        call.key(idempotency_key(request))
            .arg(request.holder.as_bytes())
            .arg(millis(request.retention))
            .arg(answer.as_deref());
        Ok(self.server.run_script(&call).await?)
    }
}

#[async_trait]
impl IdempotencyStore for RedisStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim<Bytes>, StoreError> {
        let mut call = change(&self.scripts.claim);
        call.key(idempotency_key(request))
            .arg(&request.fingerprint)
            .arg(request.resource.as_bytes())
            .arg(request.holder.as_bytes())
            .arg(millis(request.lease))
            .arg(millis(request.retention));
        let (outcome, bytes, left): (u8, Vec<u8>, u64) = self.server.run_script(&call).await?;
        match outcome {
            0 => Ok(Claim::InProgress(Duration::from_millis(left))),
            1 => Ok(Claim::Acquired {
                resource: Uuid::from_slice(&bytes).map_err(|_| unexpected("a request"))?,
            }),
            2 => Ok(Claim::Completed(bytes.into())),
            3 => Ok(Claim::Mismatch),
            _ => Err(unexpected("the answer")),
        }
    }

    async fn complete(&self, request: &ClaimRequest, answer: Bytes) -> Result<bool, StoreError> {
        self.end_claim(request, Some(answer)).await
    }

    async fn release(&self, request: &ClaimRequest) -> Result<bool, StoreError> {
        self.end_claim(request, None).await
    }
}
