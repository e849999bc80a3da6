//! The tables, and what each operation does to them.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use super::clock::Clock;
use super::once::Requests;
use super::rows::Rows;
use crate::session::millis::millis;
use crate::session::{Begun, Deletion, Found, Insertion, Lane, NewRow, Once, SessionName, StoredSession};

/// A session's id and client.
type NameKey = (Uuid, &'static str);
/// When it ends (milliseconds since 1970, as all times here), whether a replay is in progress, its body.
type Session = (u64, bool, &'static [u8]);
/// When a session ends, and its name.
type EndKey = (u64, Uuid, &'static str);
/// A session's name and a face's id.
type FaceKey = (Uuid, &'static str, Uuid);
/// Its place in the order of faces, its body.
type Face = (u64, &'static [u8]);
const SESSIONS: TableDefinition<'_, NameKey, Session> = TableDefinition::new("sessions");
const ENDS: TableDefinition<'_, EndKey, ()> = TableDefinition::new("ends");
const FACES: TableDefinition<'_, FaceKey, Face> = TableDefinition::new("faces");

pub(super) type Result<T> = std::result::Result<T, redb::Error>;

fn name(session: &SessionName) -> (Uuid, &str) {
    (session.id, &session.client)
}

/// The keys of all faces of a session.
fn all_faces(session: &SessionName) -> RangeInclusive<(Uuid, &str, Uuid)> {
    let (id, client) = name(session);
    (id, client, Uuid::nil())..=(id, client, Uuid::max())
}

/// When a session ends; `None` where there is none (any more).
fn end_of(
    sessions: &impl ReadableTable<NameKey, Session>,
    now: u64,
    session: &SessionName,
) -> Result<Option<u64>> {
    let end = sessions.get(name(session))?.map(|found| found.value().0);
    Ok(end.filter(|&end| now < end))
}

pub(super) fn session(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
) -> Result<Option<StoredSession>> {
    let sessions = transaction.open_table(SESSIONS)?;
    let Some(found) = sessions.get(name(session))? else { return Ok(None) };
    let (end, _, body) = found.value();
    if end <= now {
        return Ok(None);
    }
    let left = Duration::from_millis(end - now);
    Ok(Some(StoredSession { body: Bytes::copy_from_slice(body), left }))
}

pub(super) fn face(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
    face: Uuid,
) -> Result<Found<Bytes>> {
    if end_of(&transaction.open_table(SESSIONS)?, now, session)?.is_none() {
        return Ok(Found::NoSession);
    }
    let (id, client) = name(session);
    Ok(match transaction.open_table(FACES)?.get((id, client, face))? {
        Some(found) => Found::Yes(Bytes::copy_from_slice(found.value().1)),
        None => Found::NoFace,
    })
}

pub(super) fn faces(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
) -> Result<Option<Vec<(Uuid, Bytes)>>> {
    if end_of(&transaction.open_table(SESSIONS)?, now, session)?.is_none() {
        return Ok(None);
    }
    let mut faces = Vec::new();
    for found in transaction.open_table(FACES)?.range(all_faces(session))? {
        let (key, face) = found?;
        let (_, _, id) = key.value();
        let (place, body) = face.value();
        faces.push((place, id, Bytes::copy_from_slice(body)));
    }
    faces.sort_unstable_by_key(|&(place, _, _)| place);
    Ok(Some(faces.into_iter().map(|(_, id, body)| (id, body)).collect()))
}

/// How many sessions, ends and faces the file holds, whether their time is over or not.
#[cfg(test)]
pub(super) fn lengths(transaction: &ReadTransaction) -> Result<[u64; 3]> {
    use redb::ReadableTableMetadata as _;

    let sessions = transaction.open_table(SESSIONS)?.len()?;
    Ok([sessions, transaction.open_table(ENDS)?.len()?, transaction.open_table(FACES)?.len()?])
}

/// The tables in a transaction that may change them.
pub(super) struct Tables<'a> {
    clock: &'a Clock,
    sessions: Table<'a, NameKey, Session>,
    ends: Table<'a, EndKey, ()>,
    faces: Table<'a, FaceKey, Face>,
    session_rows: Rows<'a>,
    usage_rows: Rows<'a>,
    once: Requests<'a>,
    /// Whether sessions, faces or requests changed.
    pub(super) changed: bool,
}

impl<'a> Tables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction, clock: &'a Clock) -> Result<Self> {
        Ok(Self {
            clock,
            sessions: transaction.open_table(SESSIONS)?,
            ends: transaction.open_table(ENDS)?,
            faces: transaction.open_table(FACES)?,
            session_rows: Rows::open(transaction, Lane::Sessions)?,
            usage_rows: Rows::open(transaction, Lane::Usage)?,
            once: Requests::open(transaction)?,
            changed: false,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn has_changed(&self) -> bool {
        self.changed || self.session_rows.changed || self.usage_rows.changed
    }

    /// The rows of a lane, and the time.
    pub(super) fn rows(&mut self, lane: Lane) -> (&mut Rows<'a>, u64) {
        let rows = match lane {
            Lane::Sessions => &mut self.session_rows,
            Lane::Usage => &mut self.usage_rows,
        };
        (rows, self.clock.now())
    }

    /// False where there is one of this name already.
    pub(super) fn create(
        &mut self,
        session: &SessionName,
        body: &[u8],
        ttl: Duration,
        end: &NewRow,
    ) -> Result<bool> {
        if self.is_there(session)? {
            return Ok(false);
        }
        // One that ended may still lie there.
        self.remove_session(session)?;
        let (id, client) = name(session);
        let ends_at = self.clock.now() + millis(ttl).max(1);
        self.sessions.insert((id, client), (ends_at, false, body))?;
        self.ends.insert((ends_at, id, client), ())?;
        self.write_row(end)?;
        Ok(true)
    }

    pub(super) fn delete(&mut self, session: &SessionName, end: &NewRow) -> Result<Deletion> {
        if !self.is_there(session)? {
            return Ok(Deletion::NoSession);
        }
        let in_progress = self.sessions.get(name(session))?.is_some_and(|found| found.value().1);
        if in_progress {
            return Ok(Deletion::ReplayInProgress);
        }
        self.remove_session(session)?;
        self.write_row(end)?;
        Ok(Deletion::Deleted)
    }

    pub(super) fn set_replay(&mut self, session: &SessionName, in_progress: bool) -> Result<bool> {
        let Some(end) = end_of(&self.sessions, self.clock.now(), session)? else { return Ok(false) };
        let body = self.sessions.get(name(session))?.map(|found| found.value().2.to_vec());
        self.sessions.insert(name(session), (end, in_progress, body.unwrap_or_default().as_slice()))?;
        self.changed = true;
        Ok(true)
    }

    pub(super) fn add_face(
        &mut self,
        session: &SessionName,
        face: Uuid,
        body: &[u8],
        most: usize,
    ) -> Result<Insertion> {
        if !self.is_there(session)? {
            return Ok(Insertion::NoSession);
        }
        let (mut number, mut last) = (0, 0);
        for found in self.faces.range(all_faces(session))? {
            let (key, value) = found?;
            if key.value().2 == face {
                return Ok(Insertion::Added);
            }
            number += 1;
            last = last.max(value.value().0);
        }
        if number >= most {
            return Ok(Insertion::Full);
        }
        let (id, client) = name(session);
        self.faces.insert((id, client, face), (last + 1, body))?;
        self.changed = true;
        Ok(Insertion::Added)
    }

    pub(super) fn delete_faces(
        &mut self,
        session: &SessionName,
        faces: &[Uuid],
        follow_up: Option<&NewRow>,
    ) -> Result<Option<usize>> {
        if !self.is_there(session)? {
            return Ok(None);
        }
        let (id, client) = name(session);
        let mut deleted = 0;
        for &face in faces {
            deleted += usize::from(self.faces.remove((id, client, face))?.is_some());
        }
        if deleted > 0 {
            self.changed = true;
            follow_up.map_or(Ok(()), |row| self.write_row(row))?;
        }
        Ok(Some(deleted))
    }

    pub(super) fn begin(&mut self, once: &Once) -> Result<Begun<Bytes>> {
        let begun = self.once.begin(self.clock.now(), once)?;
        self.changed |= matches!(begun, Begun::Go { .. });
        Ok(begun)
    }

    pub(super) fn end(&mut self, once: &Once, answer: Option<&[u8]>) -> Result<bool> {
        let is_noted = self.once.end(self.clock.now(), once, answer)?;
        self.changed |= is_noted;
        Ok(is_noted)
    }

    /// Removes up to `most` sessions, and as many requests, whose time is over, those that ended first before the others.
    pub(super) fn remove_ended(&mut self, most: usize) -> Result<()> {
        self.changed |= self.once.remove_ended(self.clock.now(), most)?;
        let after = (self.clock.now() + 1, Uuid::nil(), "");
        let mut ended = Vec::new();
        for entry in self.ends.range(..after)?.take(most) {
            let key = entry?.0;
            let (_, id, client) = key.value();
            ended.push(SessionName { id, client: client.to_owned() });
        }
        ended.iter().try_for_each(|session| self.remove_session(session))
    }

    fn is_there(&self, session: &SessionName) -> Result<bool> {
        Ok(end_of(&self.sessions, self.clock.now(), session)?.is_some())
    }

    /// Removes a session with all that it has; nothing happens where there is none.
    fn remove_session(&mut self, session: &SessionName) -> Result<()> {
        let (id, client) = name(session);
        let Some(end) = self.sessions.remove((id, client))?.map(|found| found.value().0) else {
            return Ok(());
        };
        self.ends.remove((end, id, client))?;
        self.faces.retain_in(all_faces(session), |_, _| false)?;
        self.changed = true;
        Ok(())
    }

    fn write_row(&mut self, row: &NewRow) -> Result<()> {
        self.session_rows.write(self.clock.now(), row)
    }
}
