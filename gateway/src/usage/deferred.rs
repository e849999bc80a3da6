//! Records that the store did not take.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::UsageRecord;

/// As many are kept; they take some megabytes.
const MOST: usize = 10_000;

/// The records, in order.
#[derive(Debug, Default)]
pub(super) struct Deferred(Mutex<VecDeque<UsageRecord>>);

impl Deferred {
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

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

    pub(super) fn first(&self) -> Option<UsageRecord> {
        self.lock().front().cloned()
    }

    /// Removes the first record, which has this id.
    pub(super) fn remove(&self, id: Uuid) {
        let mut records = self.lock();
        if records.front().is_some_and(|record| record.id == id) {
            records.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<UsageRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
