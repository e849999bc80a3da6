//! Usage records that the store did not take in time.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::record::UsageRecord;

/// Most deferred records. They take some megabytes of memory.
const MAX_DEFERRED_RECORDS: usize = 10_000;

/// Deferred records in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct DeferredRecords(Mutex<VecDeque<UsageRecord>>);

impl DeferredRecords {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Defers a record. Returns the record as the error if there are too many.
    pub(super) fn push(&self, record: UsageRecord) -> Result<(), Box<UsageRecord>> {
        let mut records = self.lock();
        if records.len() >= MAX_DEFERRED_RECORDS {
            return Err(Box::new(record));
        }
        records.push_back(record);
        Ok(())
    }

    /// Copies up to `limit` records, oldest first.
    pub(super) fn first(&self, limit: usize) -> Vec<UsageRecord> {
        self.lock().iter().take(limit).cloned().collect()
    }

    /// Removes records by their ids.
    pub(super) fn remove(&self, written: &HashSet<Uuid>) {
        self.lock().retain(|record| !written.contains(&record.id));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<UsageRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
