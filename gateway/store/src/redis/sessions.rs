//! Sessions and faces in Redis.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use redis::{Script, ScriptInvocation, cmd};
use uuid::Uuid;

use super::keys::{FACE_FIELD_PREFIX, LedgerKind, face_field, ledger_keys, owner_key, session_key};
use super::scripts::{add_outbox, add_row, counted_change};
use super::store::{RedisStore, client_full, unexpected};
use crate::millis::millis;
use crate::outbox::NewRow;
use crate::sessions::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, SessionStore,
    StoredReplay, StoredSession,
};
use crate::{ClientBound, ClientBounds, ClientUsage, StoreError};

/// Builds the call of a script that changes a session and its client's ledger.
fn session_change<'a>(script: &'a Script, session: &SessionName) -> ScriptInvocation<'a> {
    counted_change(script, session_key(session), LedgerKind::Sessions, &session.client)
}

/// Splits a face's field into the face's position in the order of faces (eight bytes, big-endian) and its body.
fn split_field(field: Vec<u8>) -> Result<(u64, Bytes), StoreError> {
    let mut field = Bytes::from(field);
    let position = field.try_get_u64().map_err(|_| unexpected("a face"))?;
    Ok((position, field))
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn create(
        &self,
        session: &SessionName,
        body: Bytes,
        ttl: Duration,
        end: NewRow,
        bounds: &ClientBounds,
    ) -> Result<(), StoreError> {
        let mut call = session_change(&self.scripts.create_session, session);
        call.arg(&*body).arg(millis(ttl).max(1));
        add_row(&mut call, &end);
        call.arg(session.id.as_bytes()).arg(bounds.sessions).arg(bounds.session_bytes);
        let (outcome, wait): (u8, u64) = self.server.run_script(&call).await?;
        match outcome {
            0 => Err(StoreError::Exists),
            1 => Ok(()),
            2 => Err(client_full(ClientBound::Sessions, wait)),
            3 => Err(client_full(ClientBound::SessionBytes, wait)),
            _ => Err(unexpected("the answer")),
        }
    }

    async fn keep_owner(&self, session: Uuid, owner: Bytes, ttl: Duration) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        command.arg(owner_key(session)).arg(&*owner).arg("PX").arg(millis(ttl).max(1));
        Ok(self.server.run(&command).await?)
    }

    async fn owner(&self, session: Uuid) -> Result<Option<Bytes>, StoreError> {
        let found: Option<Vec<u8>> = self.server.run(cmd("GET").arg(owner_key(session))).await?;
        Ok(found.map(Bytes::from))
    }

    async fn session(&self, session: &SessionName) -> Result<Option<StoredSession>, StoreError> {
        let call = self.scripts.read_session.key(session_key(session));
        let found: Option<(Vec<u8>, u64)> = self.server.run_script(&call).await?;
        Ok(found.map(|(body, left)| StoredSession { body: body.into(), left: Duration::from_millis(left) }))
    }

    async fn delete(&self, session: &SessionName, end: NewRow) -> Result<Deletion, StoreError> {
        let mut call = session_change(&self.scripts.delete_session, session);
        add_row(&mut call, &end);
        call.arg(session.id.as_bytes());
        match self.server.run_script(&call).await? {
            2 => Ok(Deletion::Deleted),
            1 => Ok(Deletion::ReplayInProgress),
            0 => Ok(Deletion::NoSession),
            _ => Err(unexpected("the answer")),
        }
    }

    async fn replay(&self, session: &SessionName) -> Result<ReplayLookup<StoredReplay>, StoreError> {
        let call = self.scripts.read_replay.key(session_key(session));
        let (found, revision, body, upload_left, lease_left): (u8, u64, Vec<u8>, u64, u64) =
            self.server.run_script(&call).await?;
        match found {
            0 => Ok(ReplayLookup::NoSession),
            1 => Ok(ReplayLookup::NoReplay),
            2 => Ok(ReplayLookup::Found(StoredReplay {
                revision,
                body: body.into(),
                upload_left: Duration::from_millis(upload_left),
                lease_left: Duration::from_millis(lease_left),
            })),
            _ => Err(unexpected("the answer")),
        }
    }

    async fn change_replay(
        &self,
        session: &SessionName,
        change: ReplayChange,
        bounds: &ClientBounds,
    ) -> Result<ReplayOutcome, StoreError> {
        let ReplayChange { expected, body, in_progress, upload_within, lease, rows } = change;
        let mut call = session_change(&self.scripts.change_replay, session);
        call.arg(expected).arg(&*body).arg(u8::from(in_progress));
        match upload_within {
            Some(limit) => call.arg(millis(limit)),
            None => call.arg(""),
        };
        call.arg(millis(lease)).arg(session.id.as_bytes()).arg(bounds.session_bytes);
        for (lane, row) in &rows {
            add_outbox(&mut call, *lane);
            add_row(&mut call, row);
        }
        let (outcome, number): (u8, u64) = self.server.run_script(&call).await?;
        match outcome {
            0 => Ok(ReplayOutcome::NoSession),
            1 => Ok(ReplayOutcome::Changed { revision: number }),
            2 => Ok(ReplayOutcome::OtherRevision),
            3 => Err(client_full(ClientBound::SessionBytes, number)),
            _ => Err(unexpected("the answer")),
        }
    }

    async fn add_face(
        &self,
        session: &SessionName,
        face: Uuid,
        body: Bytes,
        max_faces: usize,
        bounds: &ClientBounds,
    ) -> Result<Insertion, StoreError> {
        let mut call = session_change(&self.scripts.add_face, session);
        call.arg(face_field(face)).arg(&*body).arg(max_faces);
        call.arg(session.id.as_bytes()).arg(bounds.faces).arg(bounds.session_bytes);
        let (outcome, wait): (u8, u64) = self.server.run_script(&call).await?;
        match outcome {
            0 => Ok(Insertion::NoSession),
            1 => Ok(Insertion::Full),
            2 => Ok(Insertion::Added),
            3 => Err(client_full(ClientBound::Faces, wait)),
            4 => Err(client_full(ClientBound::SessionBytes, wait)),
            _ => Err(unexpected("the answer")),
        }
    }

    async fn face(&self, session: &SessionName, face: Uuid) -> Result<FaceLookup<Bytes>, StoreError> {
        // The field `replay` exists as long as the session does.
        let command = cmd("HMGET").arg(session_key(session)).arg("replay").arg(face_field(face)).take();
        let found: (Option<u8>, Option<Vec<u8>>) = self.server.run(&command).await?;
        match found {
            (None, _) => Ok(FaceLookup::NoSession),
            (Some(_), None) => Ok(FaceLookup::NoFace),
            (Some(_), Some(field)) => Ok(FaceLookup::Found(split_field(field)?.1)),
        }
    }

    async fn faces(&self, session: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError> {
        let command = cmd("HGETALL").arg(session_key(session)).take();
        let fields: Vec<(Vec<u8>, Vec<u8>)> = self.server.run(&command).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let mut faces = Vec::with_capacity(fields.len());
        for (name, field) in fields {
            let Some(id) = name.strip_prefix(FACE_FIELD_PREFIX) else { continue };
            let (position, body) = split_field(field)?;
            faces.push((position, Uuid::from_slice(id).map_err(|_| unexpected("a face"))?, body));
        }
        faces.sort_unstable_by_key(|&(position, _, _)| position);
        Ok(Some(faces.into_iter().map(|(_, id, body)| (id, body)).collect()))
    }

    async fn delete_faces(
        &self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError> {
        let mut call = session_change(&self.scripts.delete_faces, session);
        match &follow_up {
            Some(row) => add_row(&mut call, row),
            None => drop(call.arg("").arg("").arg("")),
        }
        call.arg(session.id.as_bytes());
        for &face in faces {
            call.arg(face_field(face));
        }
        let deleted: i64 = self.server.run_script(&call).await?;
        // -1 means that there is no session.
        Ok(usize::try_from(deleted).ok())
    }

    async fn client_usage(&self, client: &str) -> Result<ClientUsage, StoreError> {
        let kept = async |kind| -> Result<(u64, u64, u64), StoreError> {
            // The script changes nothing, so its target has no effect.
            let [target, _] = ledger_keys(kind, client);
            let call = counted_change(&self.scripts.client_usage, target, kind, client);
            Ok(self.server.run_script(&call).await?)
        };
        let (sessions, faces, session_bytes) = kept(LedgerKind::Sessions).await?;
        let (idempotency_records, _, idempotency_bytes) = kept(LedgerKind::Idempotency).await?;
        Ok(ClientUsage { sessions, faces, session_bytes, idempotency_records, idempotency_bytes })
    }
}
