//! Idempotency records in Redis.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Script, ScriptInvocation};
use uuid::Uuid;

use super::keys::{LedgerKind, idempotency_key};
use super::scripts::counted_change;
use super::store::{RedisStore, client_full, unexpected};
use crate::idempotency::{Claim, ClaimRequest, IdempotencyStore};
use crate::millis::millis;
use crate::{ClientBound, ClientBounds, StoreError};

/// Builds the call of a script that changes a record and its client's ledger.
fn record_change<'a>(script: &'a Script, request: &ClaimRequest) -> ScriptInvocation<'a> {
    counted_change(script, idempotency_key(request), LedgerKind::Idempotency, &request.client)
}

impl RedisStore {
    async fn end_claim(&self, request: &ClaimRequest, answer: Option<Bytes>) -> Result<bool, StoreError> {
        let mut call = record_change(&self.scripts.end_claim, request);
        call.arg(request.holder.as_bytes())
            .arg(millis(request.retention))
            .arg(&request.key)
            .arg(answer.as_deref());
        Ok(self.server.run_script(&call).await?)
    }
}

#[async_trait]
impl IdempotencyStore for RedisStore {
    async fn claim(&self, request: &ClaimRequest, bounds: &ClientBounds) -> Result<Claim<Bytes>, StoreError> {
        let mut call = record_change(&self.scripts.claim, request);
        call.arg(&request.fingerprint)
            .arg(request.resource.as_bytes())
            .arg(request.holder.as_bytes())
            .arg(millis(request.lease))
            .arg(millis(request.retention))
            .arg(&request.key)
            .arg(bounds.idempotency_records)
            .arg(bounds.idempotency_bytes);
        let (outcome, bytes, left): (u8, Vec<u8>, u64) = self.server.run_script(&call).await?;
        match outcome {
            0 => Ok(Claim::InProgress(Duration::from_millis(left))),
            1 => Ok(Claim::Acquired {
                resource: Uuid::from_slice(&bytes).map_err(|_| unexpected("a request"))?,
            }),
            2 => Ok(Claim::Completed(bytes.into())),
            3 => Ok(Claim::Mismatch),
            4 => Err(client_full(ClientBound::IdempotencyRecords, left)),
            5 => Err(client_full(ClientBound::IdempotencyBytes, left)),
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
