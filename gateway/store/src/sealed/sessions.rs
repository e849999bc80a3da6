//! The sealing layer of sessions and faces.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::seal::{KeyRing, Purpose};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::RecordError;
use super::outbox::UnsealedRow;
use super::sealer::RecordSealer;
use crate::outbox::Lane;
use crate::sessions::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, SessionStore,
    StoredReplay,
};
use crate::{ClientBounds, ClientUsage};

/// Sessions and faces whose records are sealed. A record is any type that serde can serialize.
#[derive(Clone)]
pub struct SealedSessions {
    store: Arc<dyn SessionStore>,
    sealer: RecordSealer,
}

impl SealedSessions {
    /// Wraps `store`, and seals with `ring`.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, ring: KeyRing) -> Self {
        Self { store, sealer: RecordSealer::new(ring) }
    }

    /// Stores a session, as [`SessionStore::create`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the records cannot be sealed.
    pub async fn create(
        &self,
        name: &SessionName,
        session: &impl Serialize,
        ttl: Duration,
        end: &UnsealedRow<impl Serialize>,
        bounds: &ClientBounds,
    ) -> Result<(), RecordError> {
        let body = self.sealer.seal(Purpose::Session, session_associated_data(name), session)?;
        Ok(self.store.create(name, body, ttl, end.seal(&self.sealer)?, bounds).await?)
    }

    /// Stores the owner of a session for `ttl`, as [`SessionStore::keep_owner`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the record cannot be sealed.
    pub async fn keep_owner(
        &self,
        session: Uuid,
        owner: &impl Serialize,
        ttl: Duration,
    ) -> Result<(), RecordError> {
        let owner = self.sealer.seal(Purpose::Session, owner_associated_data(session), owner)?;
        Ok(self.store.keep_owner(session, owner, ttl).await?)
    }

    /// Reads the owner that [`Self::keep_owner`] stored.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Seal`] and [`RecordError::Form`] if the record does not open.
    pub async fn owner<O: DeserializeOwned>(&self, session: Uuid) -> Result<Option<O>, RecordError> {
        let Some(owner) = self.store.owner(session).await? else { return Ok(None) };
        self.sealer.open(Purpose::Session, owner_associated_data(session), owner).map(Some)
    }

    /// Reads a session and the time until it ends.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Seal`] and [`RecordError::Form`] if the record does not open.
    pub async fn session<S: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<Option<(S, Duration)>, RecordError> {
        let Some(stored) = self.store.session(name).await? else { return Ok(None) };
        let session = self.sealer.open(Purpose::Session, session_associated_data(name), stored.body)?;
        Ok(Some((session, stored.left)))
    }

    /// Deletes a session, as [`SessionStore::delete`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the row cannot be sealed.
    pub async fn delete(
        &self,
        name: &SessionName,
        end: &UnsealedRow<impl Serialize>,
    ) -> Result<Deletion, RecordError> {
        Ok(self.store.delete(name, end.seal(&self.sealer)?).await?)
    }

    /// Reads the replay of a session.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Seal`] and [`RecordError::Form`] if the record does not open.
    pub async fn replay<R: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<ReplayLookup<OpenedReplay<R>>, RecordError> {
        Ok(match self.store.replay(name).await? {
            ReplayLookup::Found(StoredReplay { revision, body, upload_left, lease_left }) => {
                let record = self.sealer.open(Purpose::Session, replay_associated_data(name), body)?;
                ReplayLookup::Found(OpenedReplay { revision, record, upload_left, lease_left })
            }
            ReplayLookup::NoSession => ReplayLookup::NoSession,
            ReplayLookup::NoReplay => ReplayLookup::NoReplay,
        })
    }

    /// Changes the replay of a session, as [`SessionStore::change_replay`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the record or a row cannot be sealed.
    pub async fn change_replay<R: Serialize, P: Serialize>(
        &self,
        name: &SessionName,
        change: &UnsealedChange<'_, R, P>,
        bounds: &ClientBounds,
    ) -> Result<ReplayOutcome, RecordError> {
        let UnsealedChange { expected, record, in_progress, upload_within, lease, rows } = change;
        let seal_row = |(lane, row): &(Lane, UnsealedRow<P>)| Ok((*lane, row.seal(&self.sealer)?));
        let change = ReplayChange {
            expected: *expected,
            body: self.sealer.seal(Purpose::Session, replay_associated_data(name), record)?,
            in_progress: *in_progress,
            upload_within: *upload_within,
            lease: *lease,
            rows: rows.iter().map(seal_row).collect::<Result<_, RecordError>>()?,
        };
        Ok(self.store.change_replay(name, change, bounds).await?)
    }

    /// Adds a face, as [`SessionStore::add_face`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the record cannot be sealed.
    pub async fn add_face(
        &self,
        name: &SessionName,
        id: Uuid,
        face: &impl Serialize,
        max_faces: usize,
        bounds: &ClientBounds,
    ) -> Result<Insertion, RecordError> {
        let body = self.sealer.seal(Purpose::Face, face_associated_data(name, id), face)?;
        Ok(self.store.add_face(name, id, body, max_faces, bounds).await?)
    }

    /// Reads a face.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Seal`] and [`RecordError::Form`] if the record does not open.
    pub async fn face<F: DeserializeOwned>(
        &self,
        name: &SessionName,
        id: Uuid,
    ) -> Result<FaceLookup<F>, RecordError> {
        Ok(match self.store.face(name, id).await? {
            FaceLookup::Found(body) => {
                FaceLookup::Found(self.sealer.open(Purpose::Face, face_associated_data(name, id), body)?)
            }
            FaceLookup::NoSession => FaceLookup::NoSession,
            FaceLookup::NoFace => FaceLookup::NoFace,
        })
    }

    /// Reads all faces of a session, as [`SessionStore::faces`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Seal`] and [`RecordError::Form`] if the record does not open.
    pub async fn faces<F: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<Option<Vec<(Uuid, F)>>, RecordError> {
        let Some(faces) = self.store.faces(name).await? else { return Ok(None) };
        let open = |(id, body)| {
            let associated_data = face_associated_data(name, id);
            Ok((id, self.sealer.open(Purpose::Face, associated_data, body)?))
        };
        faces.into_iter().map(open).collect::<Result<_, _>>().map(Some)
    }

    /// Deletes faces, as [`SessionStore::delete_faces`] does.
    ///
    /// # Errors
    /// [`RecordError::Store`]; [`RecordError::Encode`] and [`RecordError::Seal`] if the row cannot be sealed.
    pub async fn delete_faces(
        &self,
        name: &SessionName,
        faces: &[Uuid],
        follow_up: Option<&UnsealedRow<impl Serialize>>,
    ) -> Result<Option<usize>, RecordError> {
        let row = follow_up.map(|row| row.seal(&self.sealer)).transpose()?;
        Ok(self.store.delete_faces(name, faces, row).await?)
    }

    /// The amounts that a client keeps, as [`SessionStore::client_usage`] counts them.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn client_usage(&self, client: &str) -> Result<ClientUsage, RecordError> {
        Ok(self.store.client_usage(client).await?)
    }
}

/// A replay with its record opened.
#[derive(Clone, Debug)]
pub struct OpenedReplay<R> {
    /// As [`StoredReplay::revision`].
    pub revision: u64,
    /// The record.
    pub record: R,
    /// As [`StoredReplay::upload_left`].
    pub upload_left: Duration,
    /// As [`StoredReplay::lease_left`].
    pub lease_left: Duration,
}

/// A change of a replay, to be sealed.
#[derive(Clone, Debug)]
pub struct UnsealedChange<'a, R, P> {
    /// As [`ReplayChange::expected`].
    pub expected: u64,
    /// The new record.
    pub record: &'a R,
    /// As [`ReplayChange::in_progress`].
    pub in_progress: bool,
    /// As [`ReplayChange::upload_within`].
    pub upload_within: Option<Duration>,
    /// As [`ReplayChange::lease`].
    pub lease: Duration,
    /// As [`ReplayChange::rows`].
    pub rows: Vec<(Lane, UnsealedRow<P>)>,
}

fn replay_associated_data(name: &SessionName) -> String {
    format!("sessions/replay/{name}")
}

fn session_associated_data(name: &SessionName) -> String {
    format!("sessions/session/{name}")
}

fn owner_associated_data(session: Uuid) -> String {
    format!("sessions/owner/{session}")
}

fn face_associated_data(name: &SessionName, face: Uuid) -> String {
    format!("sessions/face/{face}/{name}")
}
