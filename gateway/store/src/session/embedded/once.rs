//! Requests that are to happen once.

use std::time::Duration;

use bytes::Bytes;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use crate::session::millis::millis;
use crate::session::{Begun, Once};

/// A request's name.
type Name = &'static [u8; 32];
/// When it is forgotten and when its run's lease is over (milliseconds since 1970), its fingerprint, subject and run,
/// and its answer where there is one.
type Request = (u64, u64, &'static [u8; 32], Uuid, Uuid, Option<&'static [u8]>);
/// When a request is forgotten, and its name.
type EndKey = (u64, &'static [u8; 32]);

const REQUESTS: TableDefinition<'_, Name, Request> = TableDefinition::new("once");
const ENDS: TableDefinition<'_, EndKey, ()> = TableDefinition::new("once_ends");

type Result<T> = std::result::Result<T, redb::Error>;

/// The tables in a transaction that may change them. Times are the store's.
pub(super) struct Requests<'a> {
    requests: Table<'a, Name, Request>,
    ends: Table<'a, EndKey, ()>,
}

impl<'a> Requests<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self> {
        Ok(Self { requests: transaction.open_table(REQUESTS)?, ends: transaction.open_table(ENDS)? })
    }

    /// Something has changed where the outcome is [`Begun::Go`].
    pub(super) fn begin(&mut self, now: u64, once: &Once) -> Result<Begun<Bytes>> {
        let known = self.requests.get(&once.name)?.and_then(|found| {
            let (forgotten, ends, fingerprint, subject, _, answer) = found.value();
            (now < forgotten).then(|| (*fingerprint, subject, ends, answer.map(Bytes::copy_from_slice)))
        });
        let subject = match known {
            None => once.subject,
            Some((fingerprint, ..)) if fingerprint != once.fingerprint => return Ok(Begun::Different),
            Some((.., Some(answer))) => return Ok(Begun::Done(answer)),
            Some((_, _, ends, None)) if now < ends => {
                return Ok(Begun::Running(Duration::from_millis(ends - now)));
            }
            Some((_, subject, ..)) => subject,
        };
        self.put(now, now + millis(once.lease), subject, once, None)?;
        Ok(Begun::Go { subject })
    }

    /// False, and nothing has changed, where another run has taken over.
    pub(super) fn end(&mut self, now: u64, once: &Once, answer: Option<&[u8]>) -> Result<bool> {
        let subject = self.requests.get(&once.name)?.and_then(|found| {
            let (_, _, _, subject, run, _) = found.value();
            (run == once.run).then_some(subject)
        });
        let Some(subject) = subject else { return Ok(false) };
        self.put(now, now, subject, once, answer)?;
        Ok(true)
    }

    /// Removes up to `most` requests that are to be forgotten; whether there were any.
    pub(super) fn remove_ended(&mut self, now: u64, most: usize) -> Result<bool> {
        let ended = self.ends.range(..(now + 1, &[0; 32]))?.take(most);
        let ended = ended.map(|entry| Ok(*entry?.0.value().1)).collect::<Result<Vec<_>>>()?;
        for name in &ended {
            self.remove(name)?;
        }
        Ok(!ended.is_empty())
    }

    fn put(&mut self, now: u64, ends: u64, subject: Uuid, once: &Once, answer: Option<&[u8]>) -> Result<()> {
        self.remove(&once.name)?;
        let forgotten = now + millis(once.kept);
        self.requests.insert(&once.name, (forgotten, ends, &once.fingerprint, subject, once.run, answer))?;
        self.ends.insert((forgotten, &once.name), ())?;
        Ok(())
    }

    fn remove(&mut self, name: &[u8; 32]) -> Result<()> {
        let forgotten = self.requests.remove(name)?.map(|found| found.value().0);
        if let Some(forgotten) = forgotten {
            self.ends.remove((forgotten, name))?;
        }
        Ok(())
    }
}
