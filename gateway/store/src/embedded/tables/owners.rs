//! The tables of the owners of sessions.

use std::time::Duration;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use crate::embedded::failure::TableResult;
use crate::millis::millis;

/// Expiry of the entry (milliseconds since 1970), and the owner's record.
type Entry = (u64, &'static [u8]);
/// Expiry of an entry, and its session.
type ExpiryKey = (u64, Uuid);

const OWNERS: TableDefinition<'_, Uuid, Entry> = TableDefinition::new("owners");
const EXPIRIES: TableDefinition<'_, ExpiryKey, ()> = TableDefinition::new("owner_ends");

/// Reads the record of a session's owner.
pub(in crate::embedded) fn owner(
    transaction: &ReadTransaction,
    now: u64,
    session: Uuid,
) -> TableResult<Option<Bytes>> {
    let found = transaction.open_table(OWNERS)?.get(session)?;
    Ok(found.and_then(|found| {
        let (expires, owner) = found.value();
        (now < expires).then(|| Bytes::copy_from_slice(owner))
    }))
}

/// The owners of sessions in a transaction that may change them.
pub(in crate::embedded) struct OwnerTables<'a> {
    owners: Table<'a, Uuid, Entry>,
    expiries: Table<'a, ExpiryKey, ()>,
    /// Whether the tables have changes to commit.
    pub(in crate::embedded) changed: bool,
}

impl<'a> OwnerTables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> TableResult<Self> {
        Ok(Self {
            owners: transaction.open_table(OWNERS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            changed: false,
        })
    }

    pub(in crate::embedded) fn keep(
        &mut self,
        now: u64,
        session: Uuid,
        owner: &[u8],
        ttl: Duration,
    ) -> TableResult<()> {
        self.remove(session)?;
        let expires = now + millis(ttl).max(1);
        self.owners.insert(session, (expires, owner))?;
        self.expiries.insert((expires, session), ())?;
        self.changed = true;
        Ok(())
    }

    /// Removes up to `limit` expired entries.
    pub(super) fn remove_expired(&mut self, now: u64, limit: usize) -> TableResult<()> {
        let expired = self.expiries.range(..(now + 1, Uuid::nil()))?.take(limit);
        let expired = expired.map(|entry| Ok(entry?.0.value().1)).collect::<TableResult<Vec<_>>>()?;
        expired.into_iter().try_for_each(|session| self.remove(session))
    }

    fn remove(&mut self, session: Uuid) -> TableResult<()> {
        let expires = self.owners.remove(session)?.map(|found| found.value().0);
        if let Some(expires) = expires {
            self.expiries.remove((expires, session))?;
            self.changed = true;
        }
        Ok(())
    }
}
