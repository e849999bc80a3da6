//! The port of sessions and faces.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, StoredReplay,
    StoredSession,
};
use crate::outbox::NewRow;
use crate::{ClientBounds, ClientUsage, StoreError};

/// A store of sessions. Bodies are opaque to it.
///
/// Each operation is atomic. How far its effect survives a restart depends on the durability of the store.
///
/// Time is the store's clock. When a session's time is over by that clock, the session, its faces and its replay no
/// longer exist, and every operation on it reports that there is no session.
///
/// Operations that take a [`NewRow`] write it in the same transaction as the change, to [`crate::outbox::Lane::Sessions`] unless
/// they name its lane.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a session for `ttl`, and writes `end`: the row that cleans up after the session.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is a session of this name (ids are random), [`StoreError::ClientFull`] if the client
    /// keeps as many sessions or bytes as `bounds` allow, [`StoreError::Full`], [`StoreError::Unreachable`],
    /// [`StoreError::Broken`].
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
        bounds: &ClientBounds,
    ) -> Result<(), StoreError>;

    /// Stores for `ttl` the record of the session's owner, for requests that name only the session's id. The record
    /// replaces an earlier one. It does not depend on the session, and remains when the session is deleted early.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn keep_owner(&self, session: Uuid, owner: Bytes, ttl: Duration) -> Result<(), StoreError>;

    /// Reads the owner that [`Self::keep_owner`] stored; `None` if there is none, or its time is over.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn owner(&self, session: Uuid) -> Result<Option<Bytes>, StoreError>;

    /// Reads a session; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn session(&self, session: &SessionName) -> Result<Option<StoredSession>, StoreError>;

    /// Deletes a session with all its faces, and replaces the row that has the id of `end`. While a replay is in
    /// progress, nothing changes. If two callers delete the same session, one of them gets [`Deletion::Deleted`].
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn delete(&self, session: &SessionName, end: NewRow) -> Result<Deletion, StoreError>;

    /// Reads the replay of a session; [`ReplayLookup::NoReplay`] before its first one.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn replay(&self, session: &SessionName) -> Result<ReplayLookup<StoredReplay>, StoreError>;

    /// Replaces the replay of a session if its revision is still the expected one (compare-and-set), and writes the
    /// rows of the change. The outcome contains the new revision.
    ///
    /// A replay in progress must be able to end, so neither `bounds` nor a full server prevents a change of it.
    ///
    /// # Errors
    /// [`StoreError::ClientFull`] if the client keeps as many bytes as `bounds` allow, [`StoreError::Full`],
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn change_replay(
        &self,
        session: &SessionName,
        change: ReplayChange,
        bounds: &ClientBounds,
    ) -> Result<ReplayOutcome, StoreError>;

    /// Adds a face to a session that has fewer than `max_faces` faces. If the session already has a face of this id, that
    /// face keeps its body and its position, and the answer is [`Insertion::Added`].
    ///
    /// # Errors
    /// [`StoreError::ClientFull`] if the client keeps as many faces or bytes as `bounds` allow, [`StoreError::Full`],
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        max_faces: usize,
        bounds: &ClientBounds,
    ) -> Result<Insertion, StoreError>;

    /// Reads a face.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn face(&self, session: &SessionName, face: Uuid) -> Result<FaceLookup<Bytes>, StoreError>;

    /// Reads the faces of a session in the order in which they were added; `None` if there is no session.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn faces(&self, session: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError>;

    /// Deletes those of `faces` that exist and returns their number; `None` if there is no session. Writes `follow_up` if
    /// it deleted at least one. If two callers delete the same face, only one of them counts it.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn delete_faces(
        &self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError>;

    /// What a client keeps: sessions, faces and idempotency records that have not expired.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Broken`].
    async fn client_usage(&self, client: &str) -> Result<ClientUsage, StoreError>;
}
