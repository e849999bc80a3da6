//! Records that the store did not take.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::UsageRecord;

/// As many are kept; they take some megabytes.
const MOST: usize = 10_000;

/// The records, in order.
#[derive(Debug, Default)]
pub(super) struct Deferred(Mutex<VecDeque<UsageRecord>>);

impl Deferred {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Gives the record back where there is no room for it.
    pub(super) fn push(&self, record: UsageRecord) -> Result<(), Box<UsageRecord>> {
        let mut records = self.lock();
        if records.len() >= MOST {
            return Err(Box::new(record));
        }
        records.push_back(record);
        Ok(())
    }

    /// The records that have waited longest, up to `most`. They stay until they are removed.
    pub(super) fn first(&self, most: usize) -> Vec<UsageRecord> {
        self.lock().iter().take(most).cloned().collect()
    }

    /// Removes records by their ids.
    pub(super) fn remove(&self, written: &HashSet<Uuid>) {
        self.lock().retain(|record| !written.contains(&record.id));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<UsageRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
