//! The tables of sessions and faces.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use super::ledger::{Item, Kept, Kind, Ledger};
use super::outbox::OutboxTables;
use super::replays::{self, ReplayTable};
use crate::embedded::failure::TableResult;
use crate::millis::millis;
use crate::outbox::NewRow;
use crate::sessions::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, StoredReplay,
    StoredSession,
};
use crate::{ClientBound, ClientBounds, ClientFull};

/// A session's id and client.
type NameKey = (Uuid, &'static str);
/// End of the session (milliseconds since 1970, like all times here), whether a replay is in progress, the body.
type SessionRow = (u64, bool, &'static [u8]);
/// End of a session, and its name.
type EndKey = (u64, Uuid, &'static str);
/// A session's name and a face's id.
type FaceKey = (Uuid, &'static str, Uuid);
/// The face's position in the order of faces, and its body.
type FaceRow = (u64, &'static [u8]);

const SESSIONS: TableDefinition<'_, NameKey, SessionRow> = TableDefinition::new("sessions");
const ENDS: TableDefinition<'_, EndKey, ()> = TableDefinition::new("ends");
const FACES: TableDefinition<'_, FaceKey, FaceRow> = TableDefinition::new("faces");

fn name(session: &SessionName) -> (Uuid, &str) {
    (session.id, &session.client)
}

/// The session in the ledger of its client.
fn item(session: &SessionName, ends: u64) -> Item<'_> {
    Item { client: &session.client, ends, id: session.id.as_bytes() }
}

/// The keys of all faces of a session.
fn all_faces(session: &SessionName) -> RangeInclusive<(Uuid, &str, Uuid)> {
    let (id, client) = name(session);
    (id, client, Uuid::nil())..=(id, client, Uuid::max())
}

/// End of a session; `None` if it does not exist or has ended.
fn end_of(
    sessions: &impl ReadableTable<NameKey, SessionRow>,
    now: u64,
    session: &SessionName,
) -> TableResult<Option<u64>> {
    let end = sessions.get(name(session))?.map(|found| found.value().0);
    Ok(end.filter(|&end| now < end))
}

pub(in crate::embedded) fn session(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
) -> TableResult<Option<StoredSession>> {
    let sessions = transaction.open_table(SESSIONS)?;
    let Some(found) = sessions.get(name(session))? else { return Ok(None) };
    let (end, _, body) = found.value();
    if end <= now {
        return Ok(None);
    }
    let left = Duration::from_millis(end - now);
    Ok(Some(StoredSession { body: Bytes::copy_from_slice(body), left }))
}

pub(in crate::embedded) fn face(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
    face: Uuid,
) -> TableResult<FaceLookup<Bytes>> {
    if end_of(&transaction.open_table(SESSIONS)?, now, session)?.is_none() {
        return Ok(FaceLookup::NoSession);
    }
    let (id, client) = name(session);
    Ok(match transaction.open_table(FACES)?.get((id, client, face))? {
        Some(found) => FaceLookup::Found(Bytes::copy_from_slice(found.value().1)),
        None => FaceLookup::NoFace,
    })
}

pub(in crate::embedded) fn faces(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
) -> TableResult<Option<Vec<(Uuid, Bytes)>>> {
    if end_of(&transaction.open_table(SESSIONS)?, now, session)?.is_none() {
        return Ok(None);
    }
    let mut faces = Vec::new();
    for found in transaction.open_table(FACES)?.range(all_faces(session))? {
        let (key, face) = found?;
        let (_, _, id) = key.value();
        let (position, body) = face.value();
        faces.push((position, id, Bytes::copy_from_slice(body)));
    }
    faces.sort_unstable_by_key(|&(position, _, _)| position);
    Ok(Some(faces.into_iter().map(|(_, id, body)| (id, body)).collect()))
}

pub(in crate::embedded) fn replay(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
) -> TableResult<ReplayLookup<StoredReplay>> {
    if end_of(&transaction.open_table(SESSIONS)?, now, session)?.is_none() {
        return Ok(ReplayLookup::NoSession);
    }
    Ok(match replays::find(transaction, now, session)? {
        Some(found) => ReplayLookup::Found(found),
        None => ReplayLookup::NoReplay,
    })
}

/// Number of sessions, ends, faces and replays in the file, including those that have ended.
#[cfg(test)]
pub(in crate::embedded) fn lengths(transaction: &ReadTransaction) -> TableResult<[u64; 4]> {
    use redb::ReadableTableMetadata as _;

    let (sessions, ends) = (transaction.open_table(SESSIONS)?.len()?, transaction.open_table(ENDS)?.len()?);
    Ok([sessions, ends, transaction.open_table(FACES)?.len()?, replays::length(transaction)?])
}

/// A session to be created.
#[derive(Clone, Copy)]
pub(in crate::embedded) struct Creation<'a> {
    pub(in crate::embedded) body: &'a [u8],
    pub(in crate::embedded) ttl: Duration,
    /// The outbox row that cleans up after the session.
    pub(in crate::embedded) end: &'a NewRow,
    pub(in crate::embedded) bounds: &'a ClientBounds,
}

/// A face to be added.
#[derive(Clone, Copy)]
pub(in crate::embedded) struct NewFace<'a> {
    pub(in crate::embedded) id: Uuid,
    pub(in crate::embedded) body: &'a [u8],
    /// The maximum number of faces of the session.
    pub(in crate::embedded) max_faces: usize,
    pub(in crate::embedded) bounds: &'a ClientBounds,
}

/// Sessions and faces in a transaction that may change them.
pub(in crate::embedded) struct SessionTables<'a> {
    sessions: Table<'a, NameKey, SessionRow>,
    ends: Table<'a, EndKey, ()>,
    faces: Table<'a, FaceKey, FaceRow>,
    replays: ReplayTable<'a>,
    ledger: Ledger<'a>,
    /// Whether the tables have changes to commit.
    pub(in crate::embedded) changed: bool,
}

impl<'a> SessionTables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> TableResult<Self> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            ends: transaction.open_table(ENDS)?,
            faces: transaction.open_table(FACES)?,
            replays: ReplayTable::open(transaction)?,
            ledger: Ledger::open(transaction, Kind::Sessions)?,
            changed: false,
        })
    }

    /// Stores a session, and writes the row of its end. Returns false if there is a session of this name.
    pub(in crate::embedded) fn create(
        &mut self,
        now: u64,
        outbox: &mut OutboxTables<'_>,
        session: &SessionName,
        creation: &Creation<'_>,
    ) -> TableResult<Result<bool, ClientFull>> {
        let Creation { body, ttl, end, bounds } = *creation;
        if self.exists(now, session)? {
            return Ok(Ok(false));
        }
        let full = self.full(now, &session.client, body.len(), bounds, |kept| {
            (kept.items >= bounds.sessions).then_some(ClientBound::Sessions)
        });
        if let Some(full) = full? {
            return Ok(Err(full));
        }
        // An ended session of this name may not have been removed yet.
        self.remove(session)?;
        let (id, client) = name(session);
        let ends_at = now + millis(ttl).max(1);
        self.sessions.insert((id, client), (ends_at, false, body))?;
        self.ends.insert((ends_at, id, client), ())?;
        self.ledger.count(item(session, ends_at), 0, body.len() as u64)?;
        self.changed = true;
        outbox.write(now, end)?;
        Ok(Ok(true))
    }

    pub(in crate::embedded) fn delete(
        &mut self,
        now: u64,
        outbox: &mut OutboxTables<'_>,
        session: &SessionName,
        end: &NewRow,
    ) -> TableResult<Deletion> {
        if !self.exists(now, session)? {
            return Ok(Deletion::NoSession);
        }
        let in_progress = self.sessions.get(name(session))?.is_some_and(|found| found.value().1);
        if in_progress {
            return Ok(Deletion::ReplayInProgress);
        }
        self.remove(session)?;
        outbox.write(now, end)?;
        Ok(Deletion::Deleted)
    }

    /// Makes a change of a session's replay, except for its outbox rows.
    pub(in crate::embedded) fn change_replay(
        &mut self,
        now: u64,
        session: &SessionName,
        change: &ReplayChange,
        bounds: &ClientBounds,
    ) -> TableResult<Result<ReplayOutcome, ClientFull>> {
        let Some(found) = self.sessions.get(name(session))? else { return Ok(Ok(ReplayOutcome::NoSession)) };
        let (end, was_in_progress, body) = found.value();
        if end <= now {
            return Ok(Ok(ReplayOutcome::NoSession));
        }
        let (revision, former_bytes) = self.replays.revision(session)?;
        if revision != change.expected {
            return Ok(Ok(ReplayOutcome::OtherRevision));
        }
        let session_body = (change.in_progress != was_in_progress).then(|| Bytes::copy_from_slice(body));
        drop(found);
        let bytes = change.body.len() as u64;
        // Bounds do not apply to a replay in progress, since it must end.
        if !was_in_progress && bytes > former_bytes {
            let growth = change.body.len() - former_bytes as usize;
            if let Some(full) = self.full(now, &session.client, growth, bounds, |_| None)? {
                return Ok(Err(full));
            }
        }
        if let Some(body) = session_body {
            self.sessions.insert(name(session), (end, change.in_progress, &*body))?;
        }
        let revision = self.replays.put(now, session, change)?;
        if bytes >= former_bytes {
            self.ledger.count(item(session, end), 0, bytes - former_bytes)?;
        } else {
            self.ledger.uncount(item(session, end), 0, former_bytes - bytes)?;
        }
        self.changed = true;
        Ok(Ok(ReplayOutcome::Changed { revision }))
    }

    pub(in crate::embedded) fn add_face(
        &mut self,
        now: u64,
        session: &SessionName,
        face: &NewFace<'_>,
    ) -> TableResult<Result<Insertion, ClientFull>> {
        let NewFace { id: face, body, max_faces, bounds } = *face;
        let Some(end) = end_of(&self.sessions, now, session)? else { return Ok(Ok(Insertion::NoSession)) };
        let (mut count, mut last_position) = (0, 0);
        for found in self.faces.range(all_faces(session))? {
            let (key, value) = found?;
            if key.value().2 == face {
                return Ok(Ok(Insertion::Added));
            }
            count += 1;
            last_position = last_position.max(value.value().0);
        }
        if count >= max_faces {
            return Ok(Ok(Insertion::Full));
        }
        let full = self.full(now, &session.client, body.len(), bounds, |kept| {
            (kept.units >= bounds.faces).then_some(ClientBound::Faces)
        });
        if let Some(full) = full? {
            return Ok(Err(full));
        }
        let (id, client) = name(session);
        self.faces.insert((id, client, face), (last_position + 1, body))?;
        self.ledger.count(item(session, end), 1, body.len() as u64)?;
        self.changed = true;
        Ok(Ok(Insertion::Added))
    }

    pub(in crate::embedded) fn delete_faces(
        &mut self,
        now: u64,
        outbox: &mut OutboxTables<'_>,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<&NewRow>,
    ) -> TableResult<Option<usize>> {
        let Some(end) = end_of(&self.sessions, now, session)? else { return Ok(None) };
        let (id, client) = name(session);
        let (mut deleted, mut bytes) = (0, 0);
        for &face in faces {
            if let Some(removed) = self.faces.remove((id, client, face))? {
                deleted += 1;
                bytes += removed.value().1.len() as u64;
            }
        }
        if deleted > 0 {
            self.ledger.uncount(item(session, end), deleted as u64, bytes)?;
            self.changed = true;
            follow_up.map_or(Ok(()), |row| outbox.write(now, row))?;
        }
        Ok(Some(deleted))
    }

    /// Removes up to `limit` ended sessions, in the order of their ends.
    pub(super) fn remove_ended(&mut self, now: u64, limit: usize) -> TableResult<()> {
        let mut ended = Vec::new();
        for entry in self.ends.range(..(now + 1, Uuid::nil(), ""))?.take(limit) {
            let key = entry?.0;
            let (_, id, client) = key.value();
            ended.push(SessionName { id, client: client.to_owned() });
        }
        ended.iter().try_for_each(|session| self.remove(session))
    }

    /// The bound that prevents `bytes` more of `client`: the one that `count` finds, or else that of bytes.
    fn full(
        &mut self,
        now: u64,
        client: &str,
        bytes: usize,
        bounds: &ClientBounds,
        count: impl FnOnce(&Kept) -> Option<ClientBound>,
    ) -> TableResult<Option<ClientFull>> {
        let kept = self.ledger.kept(now, client)?;
        let is_too_long = kept.bytes.saturating_add(bytes as u64) > bounds.session_bytes;
        let Some(bound) = count(&kept).or(is_too_long.then_some(ClientBound::SessionBytes)) else {
            return Ok(None);
        };
        let first_expiry = Duration::from_millis(self.ledger.first_expiry(now, client)?);
        Ok(Some(ClientFull { bound, first_expiry }))
    }

    fn exists(&self, now: u64, session: &SessionName) -> TableResult<bool> {
        Ok(end_of(&self.sessions, now, session)?.is_some())
    }

    /// Removes a session with its faces and its replay, if there is one.
    fn remove(&mut self, session: &SessionName) -> TableResult<()> {
        let (id, client) = name(session);
        let Some(end) = self.sessions.remove((id, client))?.map(|found| found.value().0) else {
            return Ok(());
        };
        self.ends.remove((end, id, client))?;
        self.faces.retain_in(all_faces(session), |_, _| false)?;
        self.replays.remove(session)?;
        self.ledger.forget(item(session, end))?;
        self.changed = true;
        Ok(())
    }
}
