//! Sessions and faces in the file.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::store::EmbeddedStore;
use super::tables::ledger::{self, Kind};
use super::tables::owners;
use super::tables::sessions::{self, Creation, NewFace};
use crate::outbox::NewRow;
use crate::sessions::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, SessionStore,
    StoredReplay, StoredSession,
};
use crate::{ClientBounds, ClientUsage, StoreError};

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
        bounds: &ClientBounds,
    ) -> Result<(), StoreError> {
        let (session, bounds) = (session.clone(), *bounds);
        let create = self.change(move |tables| {
            let (sessions, outbox, now) = tables.sessions();
            sessions.create(now, outbox, &session, &Creation { body: &body, ttl, end: &end, bounds: &bounds })
        });
        match create.await? {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Exists),
            Err(full) => Err(StoreError::ClientFull(full)),
        }
    }

    async fn keep_owner(&self, session: Uuid, owner: Bytes, ttl: Duration) -> Result<(), StoreError> {
        let keep = self.change(move |tables| {
            let (owners, now) = tables.owners();
            owners.keep(now, session, &owner, ttl)
        });
        keep.await
    }

    async fn owner(&self, session: Uuid) -> Result<Option<Bytes>, StoreError> {
        self.read(move |transaction, now| owners::owner(transaction, now, session)).await
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

    async fn replay(&self, session: &SessionName) -> Result<ReplayLookup<StoredReplay>, StoreError> {
        let session = session.clone();
        self.read(move |transaction, now| sessions::replay(transaction, now, &session)).await
    }

    async fn change_replay(
        &self,
        session: &SessionName,
        change: ReplayChange,
        bounds: &ClientBounds,
    ) -> Result<ReplayOutcome, StoreError> {
        let (session, bounds) = (session.clone(), *bounds);
        let changed = self.change(move |tables| {
            let (sessions, _, now) = tables.sessions();
            let outcome = sessions.change_replay(now, &session, &change, &bounds)?;
            if matches!(outcome, Ok(ReplayOutcome::Changed { .. })) {
                for (lane, row) in &change.rows {
                    let (rows, now) = tables.outbox(*lane);
                    rows.write(now, row)?;
                }
            }
            Ok(outcome)
        });
        changed.await?.map_err(StoreError::ClientFull)
    }

    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        max_faces: usize,
        bounds: &ClientBounds,
    ) -> Result<Insertion, StoreError> {
        let (session, bounds) = (session.clone(), *bounds);
        let add = self.change(move |tables| {
            let (sessions, _, now) = tables.sessions();
            sessions.add_face(now, &session, &NewFace { id: face, body: &body, max_faces, bounds: &bounds })
        });
        add.await?.map_err(StoreError::ClientFull)
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

    async fn client_usage(&self, client: &str) -> Result<ClientUsage, StoreError> {
        let client = client.to_owned();
        let read = self.read(move |transaction, now| {
            let kept = |kind| ledger::kept(transaction, kind, now, &client);
            Ok((kept(Kind::Sessions)?, kept(Kind::Idempotency)?))
        });
        let (sessions, records) = read.await?;
        Ok(ClientUsage {
            sessions: sessions.items,
            faces: sessions.units,
            session_bytes: sessions.bytes,
            idempotency_records: records.items,
            idempotency_bytes: records.bytes,
        })
    }
}
