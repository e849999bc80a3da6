//! The outbox: the tables of a lane, and what is done to its rows.

use std::time::Duration;

use bytes::Bytes;
use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition, WriteTransaction,
};
use uuid::Uuid;

use super::tables::Result;
use crate::session::millis::millis;
use crate::session::{Lane, LeasedRow, NewRow};

/// When a row is due or its lease is over (milliseconds since 1970), and its id.
type DueKey = (u64, Uuid);
/// When it is due or its lease is over, how often it was leased, the lease (nil: none), its body.
type Row = (u64, u32, Uuid, &'static [u8]);

type RowTable = TableDefinition<'static, Uuid, Row>;
type DueTable = TableDefinition<'static, DueKey, ()>;

fn tables(lane: Lane) -> (RowTable, DueTable) {
    match lane {
        Lane::Sessions => (TableDefinition::new("rows"), TableDefinition::new("due")),
        Lane::Usage => (TableDefinition::new("usage_rows"), TableDefinition::new("usage_due")),
    }
}

/// Rows of a lane.
pub(super) fn depth(transaction: &ReadTransaction, lane: Lane) -> Result<u64> {
    Ok(transaction.open_table(tables(lane).0)?.len()?)
}

/// The tables of a lane in a transaction that may change them.
pub(super) struct Rows<'a> {
    lane: Lane,
    rows: Table<'a, Uuid, Row>,
    due: Table<'a, DueKey, ()>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction, lane: Lane) -> Result<Self> {
        let (rows, due) = tables(lane);
        Ok(Self {
            lane,
            rows: transaction.open_table(rows)?,
            due: transaction.open_table(due)?,
            changed: false,
        })
    }

    pub(super) fn write(&mut self, now: u64, row: &NewRow) -> Result<()> {
        self.take(row.id)?;
        self.put(row.id, now + millis(row.due_in), 0, Uuid::nil(), &row.body)
    }

    pub(super) fn lease(&mut self, now: u64, limit: usize, lease: Duration) -> Result<Vec<LeasedRow>> {
        let due = self.due.range(..=(now, Uuid::max()))?.take(limit);
        let due = due.map(|entry| Ok(entry?.0.value().1)).collect::<Result<Vec<_>>>()?;
        let id = Uuid::new_v4();
        let mut leased = Vec::with_capacity(due.len());
        for row in due {
            let Some((attempt, body)) = self.take(row)? else { continue };
            let attempt = attempt + 1;
            self.put(row, now + millis(lease), attempt, id, &body)?;
            leased.push(LeasedRow { lane: self.lane, id: row, lease: id, attempt, body });
        }
        Ok(leased)
    }

    /// False where the lease is not the row's.
    pub(super) fn finish(&mut self, row: Uuid, lease: Uuid) -> Result<bool> {
        let is_leased = self.is_leased(row, lease)?;
        if is_leased {
            self.take(row)?;
        }
        Ok(is_leased)
    }

    /// False where the lease is not the row's.
    pub(super) fn postpone(&mut self, row: Uuid, lease: Uuid, due: u64, body: Option<&[u8]>) -> Result<bool> {
        if !self.is_leased(row, lease)? {
            return Ok(false);
        }
        let Some((attempt, former)) = self.take(row)? else { return Ok(false) };
        self.put(row, due, attempt, Uuid::nil(), body.unwrap_or(&former))?;
        Ok(true)
    }

    fn is_leased(&self, row: Uuid, lease: Uuid) -> Result<bool> {
        Ok(self.rows.get(row)?.is_some_and(|found| found.value().2 == lease))
    }

    fn put(&mut self, row: Uuid, due: u64, attempt: u32, lease: Uuid, body: &[u8]) -> Result<()> {
        self.rows.insert(row, (due, attempt, lease, body))?;
        self.due.insert((due, row), ())?;
        self.changed = true;
        Ok(())
    }

    /// Takes a row out, and tells how often it was leased, and its body.
    fn take(&mut self, row: Uuid) -> Result<Option<(u32, Bytes)>> {
        let Some(found) = self.rows.remove(row)? else { return Ok(None) };
        let (due, attempt, _, body) = found.value();
        let taken = (attempt, Bytes::copy_from_slice(body));
        drop(found);
        self.due.remove((due, row))?;
        self.changed = true;
        Ok(Some(taken))
    }
}
