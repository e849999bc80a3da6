//! Idempotent requests: a caller that sends a request again under the same key gets the first answer, and no resource
//! is created twice.
//!
//! The store assigns the resource's id with the first claim, and every later attempt gets the same id. So an attempt
//! that was cut off, and may have created the resource, is repeated without creating a second one.

use std::time::Duration;

use faceline_gateway_store::StoreError;
use faceline_gateway_store::idempotency::{Claim, ClaimRequest, Digest, digest};
use faceline_gateway_store::sealed::{RecordError, SealedIdempotency};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::service::Sessions;
use crate::fault::Fault;
use crate::request::record::to_its_end;

/// Time for which the answer of a request that created something is kept. A claim without an answer is kept as long,
/// because its attempt may have created the resource.
const ANSWER_RETENTION: Duration = Duration::from_hours(24);
/// Time for which a refusal is kept: long enough for a retry after a broken connection. A refused request created
/// nothing, so a later one is judged anew.
const REFUSAL_RETENTION: Duration = Duration::from_mins(1);
/// Time after its deadline at which a request counts as cut off.
const LEASE_GRACE: Duration = Duration::from_secs(5);
/// Longest time after which a caller should retry while another attempt holds the claim.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request with an idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest<'a> {
    /// The client; the keys of different clients are independent.
    pub client: &'a str,
    /// The operation; the keys of different operations are independent.
    pub operation: &'a str,
    /// The caller's key.
    pub key: &'a str,
    /// The path.
    pub path: &'a str,
    /// Digest of the body.
    pub body: Digest,
}

/// The result of claiming an idempotency key.
pub enum Claimed<A> {
    /// The request holds the claim and must be carried out.
    Acquired(Box<IdempotencyClaim>),
    /// An earlier attempt completed the request with this answer.
    Completed(A),
}

/// The claim of one attempt. Dropping it releases it, so the next attempt may claim the key.
pub struct IdempotencyClaim {
    records: SealedIdempotency,
    request: ClaimRequest,
    /// No earlier attempt can have created the resource.
    is_first: bool,
    is_ended: bool,
}

impl Sessions {
    /// Claims the key of a request.
    ///
    /// # Errors
    /// [`Fault::InProgress`] while another attempt holds the claim, [`Fault::KeyReused`] if the key belongs to another
    /// request, [`Fault::Busy`] if the client keeps as many records as it may, and the faults of an unavailable store.
    pub async fn claim_idempotency<A: DeserializeOwned>(
        &self,
        request: &IdempotentRequest<'_>,
    ) -> Result<Claimed<A>, Fault> {
        let request = request.claim(Uuid::new_v4(), self.deadline + LEASE_GRACE);
        let bounds = self.bounds.of(&request.client);
        let records = self.idempotency.clone();
        // Created before the store is asked, so its drop releases a claim that the store grants although the
        // caller has disconnected or the store's answer is lost. Otherwise a retry would find the request in progress
        // until the end of the lease.
        let mut claim = IdempotencyClaim { records, request, is_first: false, is_ended: false };
        let answer = claim.records.claim::<A>(&claim.request, &bounds).await;
        let may_be_granted = matches!(
            answer,
            Ok(Claim::Acquired { .. }) | Err(RecordError::Store(StoreError::Unreachable(_)))
        );
        claim.is_ended = !may_be_granted;
        match answer.map_err(|error| self.bounds.creation_fault(&error))? {
            Claim::Acquired { resource } => {
                claim.is_first = claim.request.resource == resource;
                claim.request.resource = resource;
                Ok(Claimed::Acquired(Box::new(claim)))
            }
            Claim::InProgress(left) => Err(Fault::InProgress { retry_after: left.min(MAX_RETRY_AFTER) }),
            Claim::Completed(answer) => Ok(Claimed::Completed(answer)),
            Claim::Mismatch => Err(Fault::KeyReused),
        }
    }
}

impl IdempotentRequest<'_> {
    fn claim(&self, resource: Uuid, lease: Duration) -> ClaimRequest {
        let key = [self.client, self.operation, self.key].map(str::as_bytes);
        // The fingerprint contains the key, so the digest alone does not reveal which picture was sent.
        let content = [self.path.as_bytes(), &self.body];
        ClaimRequest {
            client: self.client.into(),
            key: digest(key),
            fingerprint: digest(key.into_iter().chain(content)),
            resource,
            holder: Uuid::new_v4(),
            lease,
            retention: ANSWER_RETENTION,
        }
    }
}

impl IdempotencyClaim {
    /// Id of the resource to create.
    #[must_use]
    pub fn resource(&self) -> Uuid {
        self.request.resource
    }

    /// Ends the claim, and keeps the answer for all later attempts.
    pub async fn complete(self, answer: impl Serialize + Send + Sync + 'static) {
        self.end(|records, request| async move { records.complete(&request, &answer).await }).await;
    }

    /// Ends the claim of a request that was refused and created nothing. If no earlier attempt can have created
    /// something either, the answer is kept for a minute only.
    pub async fn refuse(mut self, answer: impl Serialize + Send + Sync + 'static) {
        if self.is_first {
            self.request.retention = REFUSAL_RETENTION;
        }
        self.complete(answer).await;
    }

    /// Ends the claim of a request that was refused for now and created nothing. If no earlier attempt can have created
    /// something either, the key is forgotten.
    pub async fn postpone(mut self) {
        if self.is_first {
            self.request.retention = Duration::ZERO;
        }
        self.release().await;
    }

    /// Ends the claim without an answer, so the next attempt may claim the key.
    pub async fn release(self) {
        self.end(|records, request| async move { records.release(&request).await }).await;
    }

    /// Ends the claim in a task of its own, even if the caller disconnects. A claim that is not ended would show the
    /// request as in progress until the end of the lease.
    async fn end<E>(mut self, end: impl FnOnce(SealedIdempotency, ClaimRequest) -> E)
    where
        E: Future<Output = Result<bool, RecordError>> + Send + 'static,
    {
        self.is_ended = true;
        let ending = end(self.records.clone(), self.request.clone());
        // If the task panics, the panic is logged, and the claim ends with its lease.
        let _ = to_its_end(async move { log_end(ending.await) }).await;
    }
}

impl Drop for IdempotencyClaim {
    fn drop(&mut self) {
        if self.is_ended {
            return;
        }
        let (records, request) = (self.records.clone(), self.request.clone());
        tokio::spawn(async move { log_end(records.release(&request).await) });
    }
}

/// Logs a claim that could not be ended. The next attempt can then claim the key when the lease is over, and it
/// creates the resource under the same id.
fn log_end(ended: Result<bool, RecordError>) {
    match ended {
        Ok(true) => (),
        Ok(false) => tracing::debug!("another attempt has taken over the idempotency claim"),
        Err(error) => tracing::warn!(%error, "an idempotency claim cannot be ended; its lease will end it"),
    }
}
