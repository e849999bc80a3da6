//! Sessions and faces in the file.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::store::EmbeddedStore;
use super::tables::sessions;
use crate::StoreError;
use crate::outbox::NewRow;
use crate::sessions::{Deletion, FaceLookup, Insertion, SessionName, SessionStore, StoredSession};

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
    ) -> Result<(), StoreError> {
        let session = session.clone();
        let create = self.change(move |tables| {
            let (sessions, outbox, now) = tables.sessions();
            sessions.create(now, outbox, &session, &body, ttl, &end)
        });
        if create.await? { Ok(()) } else { Err(StoreError::Exists) }
    }

    async fn session(&self, session: &SessionName) -> Result<Option<StoredSession>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| sessions::session(transaction, now, &session)).await
    }

    async fn delete(&self, session: &SessionName, end: NewRow) -> Result<Deletion, StoreError> {
        let session = session.clone();
        let delete = self.change(move |tables| {
            let (sessions, outbox, now) = tables.sessions();
            sessions.delete(now, outbox, &session, &end)
        });
        delete.await
    }

    async fn set_replay(&self, session: &SessionName, in_progress: bool) -> Result<bool, StoreError> {
        let session = session.clone();
        let set = self.change(move |tables| {
            let (sessions, _, now) = tables.sessions();
            sessions.set_replay(now, &session, in_progress)
        });
        set.await
    }

    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        max_faces: usize,
    ) -> Result<Insertion, StoreError> {
        let session = session.clone();
        let add = self.change(move |tables| {
            let (sessions, _, now) = tables.sessions();
            sessions.add_face(now, &session, face, &body, max_faces)
        });
        add.await
    }

    async fn face(&self, session: &SessionName, face: Uuid) -> Result<FaceLookup<Bytes>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| sessions::face(transaction, now, &session, face)).await
    }

    async fn faces(&self, session: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| sessions::faces(transaction, now, &session)).await
    }

    async fn delete_faces(
        &self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError> {
        let (session, faces) = (session.clone(), faces.to_vec());
        let delete = self.change(move |tables| {
            let (sessions, outbox, now) = tables.sessions();
            sessions.delete_faces(now, outbox, &session, &faces, follow_up.as_ref())
        });
        delete.await
    }
}
