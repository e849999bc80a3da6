//! The replays of sessions: reading a record, changing it, and its best image.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::sealed::{OpenedReplay, UnsealedChange, UnsealedRow};
use faceline_gateway_store::sessions::{ReplayLookup, ReplayOutcome, SessionName};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use uuid::Uuid;

use super::faults::{no_session, object_fault, record_fault};
use super::follow_up::{ClearUp, EndReason, FollowUp};
use super::service::{SessionHandle, Sessions};
use crate::fault::Fault;
use crate::request::record::note_work_done;

impl Sessions {
    /// Stores the owner of a session for `ttl`, for requests that name only the session's id.
    ///
    /// # Errors
    /// The faults of an unavailable store.
    pub(crate) async fn keep_owner(
        &self,
        session: Uuid,
        owner: &impl Serialize,
        ttl: Duration,
    ) -> Result<(), Fault> {
        self.records.keep_owner(session, owner, ttl).await.map_err(|error| record_fault(&error))
    }

    /// Returns the owner of a session; `None` if the store has none.
    ///
    /// # Errors
    /// The faults of an unavailable store.
    pub(crate) async fn owner<O: DeserializeOwned>(&self, session: Uuid) -> Result<Option<O>, Fault> {
        self.records.owner(session).await.map_err(|error| record_fault(&error))
    }

    /// The replay of a session; `None` before its first one.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, and the faults of an unavailable store.
    pub(crate) async fn replay<R: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<Option<OpenedReplay<R>>, Fault> {
        match self.records.replay(name).await.map_err(|error| record_fault(&error))? {
            ReplayLookup::Found(replay) => Ok(Some(replay)),
            ReplayLookup::NoReplay => Ok(None),
            ReplayLookup::NoSession => Err(no_session()),
        }
    }

    /// Whether a session has a replay.
    pub(super) async fn has_replay(&self, name: &SessionName) -> Result<bool, Fault> {
        Ok(self.replay::<IgnoredAny>(name).await?.is_some())
    }

    /// Changes the replay of a session within the bounds of its client. Returns false if it has another revision than
    /// expected.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if there is no session, [`Fault::Busy`] if the client has reached a bound, and the faults
    /// of an unavailable store.
    pub(crate) async fn change_replay<R: Serialize, P: Serialize>(
        &self,
        name: &SessionName,
        change: &UnsealedChange<'_, R, P>,
    ) -> Result<bool, Fault> {
        let changed = self.records.change_replay(name, change, &self.bounds.of(&name.client)).await;
        match changed.map_err(|error| self.bounds.creation_fault(&error))? {
            ReplayOutcome::Changed { .. } => {
                note_work_done();
                Ok(true)
            }
            ReplayOutcome::OtherRevision => Ok(false),
            ReplayOutcome::NoSession => Err(no_session()),
        }
    }

    /// The row that cleans up after a session with a replay. It replaces the row that was written with the session,
    /// and also deletes the media and the best images of the session's replays.
    pub(crate) fn clear_up_with_replay(name: &SessionName, handle: &SessionHandle) -> UnsealedRow<FollowUp> {
        let end = ClearUp::new(name, handle.session.keeps_pictures, true, EndReason::Expired);
        UnsealedRow { id: name.id, payload: FollowUp::ClearUp(end), due_in: handle.time_left() }
    }

    /// Reads the best image of a replay: the object `key`.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the session has ended, [`Fault::Internal`] if the session exists and the image does
    /// not, and the faults of an unavailable store.
    pub(crate) async fn best_image(&self, name: &SessionName, key: &str) -> Result<Bytes, Fault> {
        let found = self.pictures.get(&name.client, key).await.map_err(|error| object_fault(&error))?;
        if let Some(image) = found {
            return Ok(image);
        }
        // Either the session has just ended, or the image is lost.
        self.has_replay(name).await?;
        tracing::error!(
            key,
            "a replay has no best image in the object store; do all gateways use the same one?"
        );
        Err(Fault::Internal)
    }
}
