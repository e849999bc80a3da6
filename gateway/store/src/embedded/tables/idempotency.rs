//! The tables of idempotency records.

use std::time::Duration;

use bytes::Bytes;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use super::ledger::{Item, Kind, Ledger};
use crate::embedded::failure::TableResult;
use crate::idempotency::{Claim, ClaimRequest, Digest};
use crate::millis::millis;
use crate::{ClientBound, ClientBounds, ClientFull};

/// Digest of an idempotency key.
type Key = &'static Digest;
/// Expiry of the record and end of its claim's lease (milliseconds since 1970), the fingerprint, the resource, the
/// holder, and the answer if the request is completed.
type Record = (u64, u64, &'static Digest, Uuid, Uuid, Option<&'static [u8]>);
/// Expiry of a record, and its key.
type ExpiryKey = (u64, &'static Digest);

const RECORDS: TableDefinition<'_, Key, Record> = TableDefinition::new("once");
/// The client of each record.
const OWNERS: TableDefinition<'_, Key, &'static str> = TableDefinition::new("once_owners");
const EXPIRIES: TableDefinition<'_, ExpiryKey, ()> = TableDefinition::new("once_ends");

/// The idempotency records in a transaction that may change them.
pub(in crate::embedded) struct IdempotencyTables<'a> {
    records: Table<'a, Key, Record>,
    expiries: Table<'a, ExpiryKey, ()>,
    owners: Table<'a, Key, &'static str>,
    ledger: Ledger<'a>,
    /// Whether the tables have changes to commit.
    pub(in crate::embedded) changed: bool,
}

impl<'a> IdempotencyTables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> TableResult<Self> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            owners: transaction.open_table(OWNERS)?,
            ledger: Ledger::open(transaction, Kind::Idempotency)?,
            changed: false,
        })
    }

    pub(in crate::embedded) fn claim(
        &mut self,
        now: u64,
        request: &ClaimRequest,
        bounds: &ClientBounds,
    ) -> TableResult<Result<Claim<Bytes>, ClientFull>> {
        let known = self.records.get(&request.key)?.and_then(|found| {
            let (expires, lease_ends, fingerprint, resource, _, answer) = found.value();
            (now < expires).then(|| (*fingerprint, resource, lease_ends, answer.map(Bytes::copy_from_slice)))
        });
        let resource = match known {
            None => {
                if let Some(full) = self.full(now, &request.client, bounds)? {
                    return Ok(Err(full));
                }
                request.resource
            }
            Some((fingerprint, ..)) if fingerprint != request.fingerprint => return Ok(Ok(Claim::Mismatch)),
            Some((.., Some(answer))) => return Ok(Ok(Claim::Completed(answer))),
            Some((_, _, lease_ends, None)) if now < lease_ends => {
                return Ok(Ok(Claim::InProgress(Duration::from_millis(lease_ends - now))));
            }
            Some((_, resource, ..)) => resource,
        };
        self.put(now, now + millis(request.lease), resource, request, None)?;
        Ok(Ok(Claim::Acquired { resource }))
    }

    /// The bound that prevents a further record of `client`, if there is one.
    fn full(&mut self, now: u64, client: &str, bounds: &ClientBounds) -> TableResult<Option<ClientFull>> {
        let kept = self.ledger.kept(now, client)?;
        let bound = if kept.items >= bounds.idempotency_records {
            ClientBound::IdempotencyRecords
        } else if kept.bytes >= bounds.idempotency_bytes {
            ClientBound::IdempotencyBytes
        } else {
            return Ok(None);
        };
        let first_expiry = Duration::from_millis(self.ledger.first_expiry(now, client)?);
        Ok(Some(ClientFull { bound, first_expiry }))
    }

    /// Ends the claim of `request`'s holder. Returns false, without a change, if another holder has taken over.
    pub(in crate::embedded) fn end_claim(
        &mut self,
        now: u64,
        request: &ClaimRequest,
        answer: Option<&[u8]>,
    ) -> TableResult<bool> {
        let resource = self.records.get(&request.key)?.and_then(|found| {
            let (_, _, _, resource, holder, _) = found.value();
            (holder == request.holder).then_some(resource)
        });
        let Some(resource) = resource else { return Ok(false) };
        if request.retention.is_zero() {
            self.remove(&request.key)?;
        } else {
            self.put(now, now, resource, request, answer)?;
        }
        Ok(true)
    }

    /// Removes up to `limit` expired records.
    pub(super) fn remove_expired(&mut self, now: u64, limit: usize) -> TableResult<()> {
        let expired = self.expiries.range(..(now + 1, &[0; 32]))?.take(limit);
        let expired = expired.map(|entry| Ok(*entry?.0.value().1)).collect::<TableResult<Vec<_>>>()?;
        expired.iter().try_for_each(|key| self.remove(key))
    }

    fn put(
        &mut self,
        now: u64,
        lease_ends: u64,
        resource: Uuid,
        request: &ClaimRequest,
        answer: Option<&[u8]>,
    ) -> TableResult<()> {
        self.remove(&request.key)?;
        let expires = now + millis(request.retention);
        let record = (expires, lease_ends, &request.fingerprint, resource, request.holder, answer);
        self.records.insert(&request.key, record)?;
        self.expiries.insert((expires, &request.key), ())?;
        self.owners.insert(&request.key, &*request.client)?;
        let item = Item { client: &request.client, ends: expires, id: &request.key };
        self.ledger.count(item, 0, answer.map_or(0, |answer| answer.len() as u64))?;
        self.changed = true;
        Ok(())
    }

    fn remove(&mut self, key: &Digest) -> TableResult<()> {
        let expires = self.records.remove(key)?.map(|found| found.value().0);
        if let Some(expires) = expires {
            self.expiries.remove((expires, key))?;
            if let Some(owner) = self.owners.remove(key)? {
                self.ledger.forget(Item { client: owner.value(), ends: expires, id: key })?;
            }
            self.changed = true;
        }
        Ok(())
    }
}
