//! The table of replays, at most one for each session. The session's row states whether a video is being judged.

use std::time::Duration;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable as _, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use crate::embedded::failure::TableResult;
use crate::millis::millis;
use crate::sessions::{ReplayChange, SessionName, StoredReplay};

/// A session's id and client.
type ReplayKey = (Uuid, &'static str);
/// The revision, the ends of the time for the upload and of an upload's lease (milliseconds since 1970), and the
/// record.
type ReplayRow = (u64, u64, u64, &'static [u8]);

const REPLAYS: TableDefinition<'_, ReplayKey, ReplayRow> = TableDefinition::new("replays");

fn key(session: &SessionName) -> (Uuid, &str) {
    (session.id, &session.client)
}

/// The replay of a session, even if the session has ended.
pub(super) fn find(
    transaction: &ReadTransaction,
    now: u64,
    session: &SessionName,
) -> TableResult<Option<StoredReplay>> {
    let Some(found) = transaction.open_table(REPLAYS)?.get(key(session))? else { return Ok(None) };
    let (revision, upload_ends, lease_ends, body) = found.value();
    let left = |ends: u64| Duration::from_millis(ends.saturating_sub(now));
    let (upload_left, lease_left) = (left(upload_ends), left(lease_ends));
    Ok(Some(StoredReplay { revision, body: Bytes::copy_from_slice(body), upload_left, lease_left }))
}

/// Number of replays in the file, including those whose session has ended.
#[cfg(test)]
pub(super) fn length(transaction: &ReadTransaction) -> TableResult<u64> {
    use redb::ReadableTableMetadata as _;

    Ok(transaction.open_table(REPLAYS)?.len()?)
}

/// The replays in a transaction that may change them.
pub(super) struct ReplayTable<'a>(Table<'a, ReplayKey, ReplayRow>);

impl<'a> ReplayTable<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> TableResult<Self> {
        Ok(Self(transaction.open_table(REPLAYS)?))
    }

    /// The revision and the length of the record of a session's replay; zeros if there is none.
    pub(super) fn revision(&self, session: &SessionName) -> TableResult<(u64, u64)> {
        let found = self.0.get(key(session))?;
        Ok(found.map_or((0, 0), |found| (found.value().0, found.value().3.len() as u64)))
    }

    /// Makes a change, and returns the new revision.
    pub(super) fn put(&mut self, now: u64, session: &SessionName, change: &ReplayChange) -> TableResult<u64> {
        let former = self.0.get(key(session))?.map(|found| (found.value().0, found.value().1));
        let (revision, upload_ends) = former.unwrap_or_default();
        let revision = revision + 1;
        let ends = |limit: Duration| if limit.is_zero() { 0 } else { now + millis(limit) };
        let upload_ends = change.upload_within.map_or(upload_ends, ends);
        self.0.insert(key(session), (revision, upload_ends, ends(change.lease), &*change.body))?;
        Ok(revision)
    }

    pub(super) fn remove(&mut self, session: &SessionName) -> TableResult<()> {
        self.0.remove(key(session))?;
        Ok(())
    }
}
