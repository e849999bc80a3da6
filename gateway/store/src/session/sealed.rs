//! The sealing front of a session store: records go in and come out, bytes that nobody can read lie in between.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    Begun, Deletion, Found, Insertion, Lane, LeasedRow, NewRow, Once, SessionName, SessionStore, StoreError,
};
use faceline_shared::seal::{KeyRing, Purpose, SealError};

/// Why a record is not kept or not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record does not open: its key was dropped, it was changed, or it was moved from another place.
    #[error("a record of the session store does not open: {0}")]
    Seal(#[from] SealError),
    /// The record opens and is not of the form that this build writes.
    #[error("a record of the session store is not of the form: {0}")]
    Form(#[from] rmp_serde::decode::Error),
    /// The record cannot be written.
    #[error("a record cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// What has to be done because of a change, before it is a row.
#[derive(Clone, Debug)]
pub struct Due<R> {
    /// As of [`NewRow`].
    pub id: Uuid,
    /// What is to be done.
    pub what: R,
    /// As of [`NewRow`].
    pub due_in: Duration,
}

/// A row that this process is to deal with, as far as it opens.
#[derive(Debug)]
pub struct OpenedRow<R> {
    /// What is to be done, or why that cannot be read.
    pub what: Result<R, SessionError>,
    /// The row, as the store wants it back.
    pub leased: LeasedRow,
}

/// A session store whose records are sealed. Whatever serde can write may be kept.
#[derive(Clone)]
pub struct SealedSessions {
    store: Arc<dyn SessionStore>,
    ring: KeyRing,
}

impl SealedSessions {
    /// A sealing front of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, ring: KeyRing) -> Self {
        Self { store, ring }
    }

    /// As [`SessionStore::create`].
    ///
    /// # Errors
    /// The store's, and records that cannot be sealed.
    pub async fn create(
        &self,
        name: &SessionName,
        session: &impl Serialize,
        ttl: Duration,
        end: &Due<impl Serialize>,
    ) -> Result<(), SessionError> {
        let body = self.seal(Purpose::Session, &session_place(name), session)?;
        Ok(self.store.create(name, body, ttl, self.row(end)?).await?)
    }

    /// A session and the time until it ends.
    ///
    /// # Errors
    /// The store's, and a record that does not open.
    pub async fn session<S: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<Option<(S, Duration)>, SessionError> {
        let Some(stored) = self.store.session(name).await? else { return Ok(None) };
        Ok(Some((self.open(Purpose::Session, &session_place(name), stored.body)?, stored.left)))
    }

    /// As [`SessionStore::delete`].
    ///
    /// # Errors
    /// The store's, and a row that cannot be sealed.
    pub async fn delete(
        &self,
        name: &SessionName,
        end: &Due<impl Serialize>,
    ) -> Result<Deletion, SessionError> {
        Ok(self.store.delete(name, self.row(end)?).await?)
    }

    /// As [`SessionStore::set_replay`].
    ///
    /// # Errors
    /// The store's.
    pub async fn set_replay(&self, name: &SessionName, in_progress: bool) -> Result<bool, SessionError> {
        Ok(self.store.set_replay(name, in_progress).await?)
    }

    /// As [`SessionStore::add_face`].
    ///
    /// # Errors
    /// The store's, and a record that cannot be sealed.
    pub async fn add_face(
        &self,
        name: &SessionName,
        id: Uuid,
        face: &impl Serialize,
        most: usize,
    ) -> Result<Insertion, SessionError> {
        let body = self.seal(Purpose::Face, &face_place(name, id), face)?;
        Ok(self.store.add_face(name, id, body, most).await?)
    }

    /// As [`SessionStore::face`].
    ///
    /// # Errors
    /// The store's, and a record that does not open.
    pub async fn face<F: DeserializeOwned>(
        &self,
        name: &SessionName,
        id: Uuid,
    ) -> Result<Found<F>, SessionError> {
        Ok(match self.store.face(name, id).await? {
            Found::Yes(body) => Found::Yes(self.open(Purpose::Face, &face_place(name, id), body)?),
            Found::NoSession => Found::NoSession,
            Found::NoFace => Found::NoFace,
        })
    }

    /// As [`SessionStore::faces`].
    ///
    /// # Errors
    /// The store's, and a record that does not open.
    pub async fn faces<F: DeserializeOwned>(
        &self,
        name: &SessionName,
    ) -> Result<Option<Vec<(Uuid, F)>>, SessionError> {
        let Some(faces) = self.store.faces(name).await? else { return Ok(None) };
        let open = |(id, body)| Ok((id, self.open(Purpose::Face, &face_place(name, id), body)?));
        faces.into_iter().map(open).collect::<Result<_, _>>().map(Some)
    }

    /// As [`SessionStore::delete_faces`].
    ///
    /// # Errors
    /// The store's, and a row that cannot be sealed.
    pub async fn delete_faces(
        &self,
        name: &SessionName,
        faces: &[Uuid],
        follow_up: Option<&Due<impl Serialize>>,
    ) -> Result<Option<usize>, SessionError> {
        let row = follow_up.map(|due| self.row(due)).transpose()?;
        Ok(self.store.delete_faces(name, faces, row).await?)
    }

    /// As [`SessionStore::enqueue`].
    ///
    /// # Errors
    /// The store's, and a row that cannot be sealed.
    pub async fn enqueue(&self, lane: Lane, row: &Due<impl Serialize>) -> Result<(), SessionError> {
        Ok(self.store.enqueue(lane, self.row(row)?).await?)
    }

    /// As [`SessionStore::lease`].
    ///
    /// # Errors
    /// The store's. What is wrong with a single row stands in the row.
    pub async fn lease<R: DeserializeOwned>(
        &self,
        lane: Lane,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<OpenedRow<R>>, SessionError> {
        let rows = self.store.lease(lane, limit, lease).await?;
        let open = |leased: LeasedRow| OpenedRow {
            what: self.open(Purpose::Row, &row_place(leased.id), leased.body.clone()),
            leased,
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// As [`SessionStore::finish`].
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(&self, row: &LeasedRow) -> Result<bool, SessionError> {
        Ok(self.store.finish(row).await?)
    }

    /// As [`SessionStore::finish_all`].
    ///
    /// # Errors
    /// The store's.
    pub async fn finish_all(&self, lane: Lane, rows: &[LeasedRow]) -> Result<usize, SessionError> {
        Ok(self.store.finish_all(lane, rows).await?)
    }

    /// As [`SessionStore::postpone`].
    ///
    /// # Errors
    /// The store's, and a row that cannot be sealed.
    pub async fn postpone(
        &self,
        row: &LeasedRow,
        wait: Duration,
        what: Option<&impl Serialize>,
    ) -> Result<bool, SessionError> {
        let body = what.map(|what| self.seal(Purpose::Row, &row_place(row.id), what)).transpose()?;
        Ok(self.store.postpone(row, wait, body).await?)
    }

    /// As [`SessionStore::outbox_depth`].
    ///
    /// # Errors
    /// The store's.
    pub async fn outbox_depth(&self, lane: Lane) -> Result<u64, SessionError> {
        Ok(self.store.outbox_depth(lane).await?)
    }

    /// As [`SessionStore::begin`].
    ///
    /// # Errors
    /// The store's, and an answer that does not open.
    pub async fn begin<A: DeserializeOwned>(&self, once: &Once) -> Result<Begun<A>, SessionError> {
        Ok(match self.store.begin(once).await? {
            Begun::Go { subject } => Begun::Go { subject },
            Begun::Running(left) => Begun::Running(left),
            Begun::Done(answer) => Begun::Done(self.open(Purpose::Answer, &once_place(once), answer)?),
            Begun::Different => Begun::Different,
        })
    }

    /// As [`SessionStore::end`].
    ///
    /// # Errors
    /// The store's, and an answer that cannot be sealed.
    pub async fn end(&self, once: &Once, answer: Option<&impl Serialize>) -> Result<bool, SessionError> {
        let answer =
            answer.map(|answer| self.seal(Purpose::Answer, &once_place(once), answer)).transpose()?;
        Ok(self.store.end(once, answer).await?)
    }

    /// As [`SessionStore::check`].
    ///
    /// # Errors
    /// What is wrong.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    fn row(&self, due: &Due<impl Serialize>) -> Result<NewRow, SessionError> {
        let body = self.seal(Purpose::Row, &row_place(due.id), &due.what)?;
        Ok(NewRow { id: due.id, body, due_in: due.due_in })
    }

    fn seal(
        &self,
        purpose: Purpose,
        place: &(impl AsRef<[u8]> + ?Sized),
        record: &impl Serialize,
    ) -> Result<Bytes, SessionError> {
        let plain = rmp_serde::to_vec_named(record)?;
        Ok(self.ring.seal(purpose, place.as_ref(), &plain)?.into())
    }

    fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        place: &(impl AsRef<[u8]> + ?Sized),
        sealed: Bytes,
    ) -> Result<T, SessionError> {
        let plain = self.ring.open_bytes(purpose, place.as_ref(), sealed)?;
        Ok(rmp_serde::from_slice(&plain)?)
    }
}

fn session_place(name: &SessionName) -> String {
    format!("sessions/session/{name}")
}

fn face_place(name: &SessionName, face: Uuid) -> String {
    format!("sessions/face/{face}/{name}")
}

fn once_place(once: &Once) -> Vec<u8> {
    [b"sessions/once/".as_slice(), &once.name].concat()
}

fn row_place(row: Uuid) -> String {
    format!("sessions/row/{row}")
}
