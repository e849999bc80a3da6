//! The ledger of one kind of items: the items that each client keeps, with their sizes and ends.

use redb::{ReadTransaction, ReadableTable as _, Table, TableDefinition, WriteTransaction};

use crate::embedded::failure::TableResult;

/// Client, end of the item (milliseconds since 1970), and the item.
type ItemKey = (&'static str, u64, &'static [u8]);
/// The item's units (faces of a session) and bytes.
type ItemPart = (u64, u64);
/// Items, units and bytes of a client.
type Totals = (u64, u64, u64);

type ItemTable = TableDefinition<'static, ItemKey, ItemPart>;
type TotalTable = TableDefinition<'static, &'static str, Totals>;

/// A kind of items.
#[derive(Clone, Copy, Debug)]
pub(in crate::embedded) enum Kind {
    /// Sessions; their units are faces.
    Sessions,
    /// Idempotency records; they have no units.
    Idempotency,
}

fn definitions(kind: Kind) -> (ItemTable, TotalTable) {
    match kind {
        Kind::Sessions => (TableDefinition::new("client_sessions"), TableDefinition::new("client_totals")),
        Kind::Idempotency => {
            (TableDefinition::new("client_idempotency"), TableDefinition::new("client_idempotency_totals"))
        }
    }
}

/// An item of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) client: &'a str,
    pub(super) ends: u64,
    pub(super) id: &'a [u8],
}

impl<'a> Item<'a> {
    fn key(&self) -> (&'a str, u64, &'a [u8]) {
        (self.client, self.ends, self.id)
    }
}

/// Totals of the items that a client keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::embedded) struct Kept {
    pub(in crate::embedded) items: u64,
    pub(in crate::embedded) units: u64,
    pub(in crate::embedded) bytes: u64,
}

/// Reads the totals of the items that `client` keeps at `now`.
pub(in crate::embedded) fn kept(
    transaction: &ReadTransaction,
    kind: Kind,
    now: u64,
    client: &str,
) -> TableResult<Kept> {
    let (items, totals) = definitions(kind);
    let total = transaction.open_table(totals)?.get(client)?.map(|found| found.value());
    let (mut count, mut units, mut bytes) = total.unwrap_or_default();
    for ended in transaction.open_table(items)?.range((client, 0, &[][..])..(client, now + 1, &[][..]))? {
        let part = ended?.1.value();
        (count, units, bytes) = (count - 1, units - part.0, bytes - part.1);
    }
    Ok(Kept { items: count, units, bytes })
}

/// The ledger in a transaction that may change it. Changes of items that are not in it have no effect: an earlier
/// version of this program wrote those items.
pub(super) struct Ledger<'a> {
    items: Table<'a, ItemKey, ItemPart>,
    totals: Table<'a, &'static str, Totals>,
}

impl<'a> Ledger<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction, kind: Kind) -> TableResult<Self> {
        let (items, totals) = definitions(kind);
        Ok(Self { items: transaction.open_table(items)?, totals: transaction.open_table(totals)? })
    }

    /// Returns the totals of `client`. Removes its ended items from the ledger, even if other tables still have them.
    pub(super) fn kept(&mut self, now: u64, client: &str) -> TableResult<Kept> {
        let mut ended: Vec<(u64, Vec<u8>)> = Vec::new();
        for entry in self.items.range((client, 0, &[][..])..(client, now + 1, &[][..]))? {
            let key = entry?.0;
            let (_, ends, id) = key.value();
            ended.push((ends, id.to_vec()));
        }
        for (ends, id) in &ended {
            self.forget(Item { client, ends: *ends, id })?;
        }
        let (items, units, bytes) = self.totals_of(client)?;
        Ok(Kept { items, units, bytes })
    }

    /// Milliseconds from `now` until the first item of `client` ends; 0 if it has no item.
    pub(super) fn first_expiry(&self, now: u64, client: &str) -> TableResult<u64> {
        let mut items = self.items.range((client, now + 1, &[][..])..=(client, u64::MAX, &[][..]))?;
        let first = items.next().transpose()?.map(|(key, _)| key.value().1);
        Ok(first.map_or(0, |ends| ends - now))
    }

    /// Adds units and bytes to an item, which is added to the ledger if it is new.
    pub(super) fn count(&mut self, item: Item<'_>, units: u64, bytes: u64) -> TableResult<()> {
        let known = self.items.get(item.key())?.map(|found| found.value());
        let part = known.unwrap_or_default();
        self.items.insert(item.key(), (part.0 + units, part.1 + bytes))?;
        let totals = self.totals_of(item.client)?;
        let items = totals.0 + u64::from(known.is_none());
        self.totals.insert(item.client, (items, totals.1 + units, totals.2 + bytes))?;
        Ok(())
    }

    /// Subtracts units and bytes from an item, at most as many as it has.
    pub(super) fn uncount(&mut self, item: Item<'_>, units: u64, bytes: u64) -> TableResult<()> {
        let Some(part) = self.items.get(item.key())?.map(|found| found.value()) else { return Ok(()) };
        let (units, bytes) = (units.min(part.0), bytes.min(part.1));
        self.items.insert(item.key(), (part.0 - units, part.1 - bytes))?;
        let totals = self.totals_of(item.client)?;
        self.totals.insert(item.client, (totals.0, totals.1 - units, totals.2 - bytes))?;
        Ok(())
    }

    /// Removes an item, and subtracts it from the totals.
    pub(super) fn forget(&mut self, item: Item<'_>) -> TableResult<()> {
        let Some(part) = self.items.remove(item.key())?.map(|found| found.value()) else { return Ok(()) };
        let totals = self.totals_of(item.client)?;
        if totals.0 <= 1 {
            self.totals.remove(item.client)?;
        } else {
            self.totals.insert(item.client, (totals.0 - 1, totals.1 - part.0, totals.2 - part.1))?;
        }
        Ok(())
    }

    fn totals_of(&self, client: &str) -> TableResult<Totals> {
        Ok(self.totals.get(client)?.map(|found| found.value()).unwrap_or_default())
    }
}
