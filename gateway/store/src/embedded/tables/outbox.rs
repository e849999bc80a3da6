//! The tables of the outbox.

use std::time::Duration;

use bytes::Bytes;
use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition, WriteTransaction,
};
use uuid::Uuid;

use crate::embedded::failure::TableResult;
use crate::millis::millis;
use crate::outbox::{Lane, LeasedRow, ListedRow, NewRow};

/// Time at which a row is due or its lease ends (milliseconds since 1970), and its id.
type DueKey = (u64, Uuid);
/// Time at which the row is due or its lease ends, number of its leases, the lease's id (nil: none), the body.
type Row = (u64, u32, Uuid, &'static [u8]);

type RowTable = TableDefinition<'static, Uuid, Row>;
type DueTable = TableDefinition<'static, DueKey, ()>;

fn definitions(lane: Lane) -> (RowTable, DueTable) {
    match lane {
        Lane::Sessions => (TableDefinition::new("rows"), TableDefinition::new("due")),
        Lane::Usage => (TableDefinition::new("usage_rows"), TableDefinition::new("usage_due")),
        Lane::Replays => (TableDefinition::new("replay_rows"), TableDefinition::new("replay_due")),
        Lane::Callbacks => (TableDefinition::new("callback_rows"), TableDefinition::new("callback_due")),
        Lane::DeadCallbacks => {
            (TableDefinition::new("dead_callback_rows"), TableDefinition::new("dead_callback_due"))
        }
    }
}

/// Number of rows in a lane.
pub(in crate::embedded) fn depth(transaction: &ReadTransaction, lane: Lane) -> TableResult<u64> {
    Ok(transaction.open_table(definitions(lane).0)?.len()?)
}

/// Up to `limit` rows of a lane, those that have been due longest first.
pub(in crate::embedded) fn list(
    transaction: &ReadTransaction,
    now: u64,
    lane: Lane,
    limit: usize,
) -> TableResult<Vec<ListedRow>> {
    let (rows, due) = definitions(lane);
    let (rows, due) = (transaction.open_table(rows)?, transaction.open_table(due)?);
    let mut listed = Vec::new();
    for entry in due.iter()?.take(limit) {
        let (due, id) = entry?.0.value();
        let Some(found) = rows.get(id)? else { continue };
        let (_, attempts, _, body) = found.value();
        let due_in = Duration::from_millis(due.saturating_sub(now));
        listed.push(ListedRow { id, attempts, due_in, body: Bytes::copy_from_slice(body) });
    }
    Ok(listed)
}

/// The rows of a lane in a transaction that may change them.
pub(in crate::embedded) struct OutboxTables<'a> {
    lane: Lane,
    rows: Table<'a, Uuid, Row>,
    due: Table<'a, DueKey, ()>,
    /// Whether the tables have changes to commit.
    pub(in crate::embedded) changed: bool,
}

impl<'a> OutboxTables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction, lane: Lane) -> TableResult<Self> {
        let (rows, due) = definitions(lane);
        Ok(Self {
            lane,
            rows: transaction.open_table(rows)?,
            due: transaction.open_table(due)?,
            changed: false,
        })
    }

    /// Writes a row; it replaces a row of the same id.
    pub(in crate::embedded) fn write(&mut self, now: u64, row: &NewRow) -> TableResult<()> {
        self.take(row.id)?;
        self.put(row.id, now + millis(row.due_in), 0, Uuid::nil(), &row.body)
    }

    /// Leases up to `limit` rows that are due.
    pub(in crate::embedded) fn lease(
        &mut self,
        now: u64,
        limit: usize,
        lease: Duration,
    ) -> TableResult<Vec<LeasedRow>> {
        let due = self.due.range(..=(now, Uuid::max()))?.take(limit);
        let due = due.map(|entry| Ok(entry?.0.value().1)).collect::<TableResult<Vec<_>>>()?;
        let lease_id = Uuid::new_v4();
        let mut leased = Vec::with_capacity(due.len());
        for id in due {
            let Some((attempt, body)) = self.take(id)? else { continue };
            let attempt = attempt + 1;
            self.put(id, now + millis(lease), attempt, lease_id, &body)?;
            leased.push(LeasedRow { lane: self.lane, id, lease: lease_id, attempt, body });
        }
        Ok(leased)
    }

    /// Removes a row. Returns false if it has another lease or none.
    pub(in crate::embedded) fn finish(&mut self, row: Uuid, lease: Uuid) -> TableResult<bool> {
        let is_leased = self.is_leased(row, lease)?;
        if is_leased {
            self.take(row)?;
        }
        Ok(is_leased)
    }

    /// Ends a lease; the row is due at `due`. Returns false if the row has another lease or none.
    pub(in crate::embedded) fn postpone(
        &mut self,
        row: Uuid,
        lease: Uuid,
        due: u64,
        body: Option<&[u8]>,
    ) -> TableResult<bool> {
        if !self.is_leased(row, lease)? {
            return Ok(false);
        }
        let Some((attempt, former)) = self.take(row)? else { return Ok(false) };
        self.put(row, due, attempt, Uuid::nil(), body.unwrap_or(&former))?;
        Ok(true)
    }

    /// Removes a row, even if it is leased, and returns its body.
    pub(in crate::embedded) fn remove(&mut self, row: Uuid) -> TableResult<Option<Bytes>> {
        Ok(self.take(row)?.map(|(_, body)| body))
    }

    fn is_leased(&self, row: Uuid, lease: Uuid) -> TableResult<bool> {
        Ok(self.rows.get(row)?.is_some_and(|found| found.value().2 == lease))
    }

    fn put(&mut self, row: Uuid, due: u64, attempt: u32, lease: Uuid, body: &[u8]) -> TableResult<()> {
        self.rows.insert(row, (due, attempt, lease, body))?;
        self.due.insert((due, row), ())?;
        self.changed = true;
        Ok(())
    }

    /// Removes a row from the tables. Returns the number of its leases, and its body.
    fn take(&mut self, row: Uuid) -> TableResult<Option<(u32, Bytes)>> {
        let Some(found) = self.rows.remove(row)? else { return Ok(None) };
        let (due, attempt, _, body) = found.value();
        let taken = (attempt, Bytes::copy_from_slice(body));
        drop(found);
        self.due.remove((due, row))?;
        self.changed = true;
        Ok(Some(taken))
    }
}
