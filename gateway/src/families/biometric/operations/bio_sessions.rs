//! Creates, describes and deletes sessions (the API's `bio-sessions`), which [`crate::sessions`] stores.

use bytes::Bytes;
use faceline_gateway_store::sessions::SessionName;
use serde::de::DeserializeOwned;

use super::stored_text::stored_text;
use crate::families::biometric::answer::SessionAnswer;
use crate::families::biometric::request::SessionRequest;
use crate::families::biometric::services::{BiometricServices, Json};
use crate::fault::Fault;
use crate::sessions::{Claimed, IdempotentRequest, Session};
use crate::timestamp::Timestamp;

impl BiometricServices {
    /// Claims the idempotency key of a request.
    ///
    /// # Errors
    /// [`Fault::InProgress`] if another request with the key is in progress, [`Fault::KeyReused`] if the key was used
    /// for another request, [`Fault::Busy`] if the store is unreachable.
    pub async fn claim_idempotency<A: DeserializeOwned>(
        &self,
        request: &IdempotentRequest<'_>,
    ) -> Result<Claimed<A>, Fault> {
        self.sessions.claim_idempotency(request).await
    }

    /// Creates a session. It may already exist if a caller retries with an idempotency key. The body may be empty.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a bad request, [`Fault::Busy`] if the store is unreachable.
    pub async fn create_session(&self, name: &SessionName, body: Bytes) -> Result<(), Fault> {
        let request = SessionRequest::read(body, self.sessions.settings())?;
        let created = Timestamp::now();
        let expires = created.after(request.ttl);
        let answer = self.signed(&SessionAnswer {
            id: name.id,
            correlation_id: request.identifiers.correlation_id.as_deref(),
            evidence_id: request.identifiers.evidence_id.as_deref(),
            image_storage_enabled: request.keeps_pictures,
            created,
            expires,
        })?;
        let session = Session {
            correlation_id: request.identifiers.correlation_id,
            evidence_id: request.identifiers.evidence_id,
            keeps_pictures: request.keeps_pictures,
            callback_url: request.callback_url,
            expires,
            answer: stored_text(answer)?,
        };
        self.sessions.create(name, &session, request.ttl).await
    }

    /// Describes a session.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session does not exist, [`Fault::Busy`] if the store is unreachable.
    pub async fn session(&self, name: &SessionName) -> Result<Json, Fault> {
        Ok(self.sessions.open(name).await?.session.answer.into())
    }

    /// Deletes a session on behalf of the caller with the key id `key`.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session does not exist, [`Fault::Conflict`] while a replay is in progress,
    /// [`Fault::Busy`] if the store is unreachable.
    pub async fn delete_session(&self, name: &SessionName, key: &str) -> Result<(), Fault> {
        self.sessions.delete(name, key).await
    }
}
