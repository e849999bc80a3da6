//! What callers are billed by: a record of each answer.
//!
//! A record is a row of the outbox before its answer is sent, so that whoever has an answer finds a record of it, whatever
//! dies in between. Each gateway moves rows to the object store, many at a time ([`Mover`]): one object for some seconds of
//! a day. What is done twice because somebody died is there twice under one id, and is read once ([`export`]).
//!
//! Where the store does not take a record in time, the answer is sent all the same. The record waits in this process, is
//! tried again, and is counted.

mod command;
mod deferred;
mod export;
mod metrics;
mod mover;
mod record;

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::config;
use faceline_shared::object::SealedObjects;
use faceline_shared::session::{Due, Lane, SealedSessions};
use faceline_shared::telemetry::Metrics;
use tokio::sync::Notify;
use tokio::time::timeout;

pub use self::command::{UsageCommand, UsageCommandError};
use self::deferred::Deferred;
use self::metrics::UsageMetrics;
pub use self::mover::Mover;
pub use self::record::UsageRecord;

/// An answer does not wait longer for its record to be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// Whose the objects are: they hold records of all clients.
const OWNER: &str = "usage";
/// Folder of the object store.
const FOLDER: &str = "usage";

/// Writes usage records.
pub struct Usage {
    store: SealedSessions,
    deferred: Deferred,
    /// Rung when there is something to be tried again.
    ring: Arc<Notify>,
    metrics: UsageMetrics,
}

impl Usage {
    /// Records by way of `store`.
    #[must_use]
    pub fn new(store: SealedSessions, metrics: &Metrics) -> Arc<Self> {
        let metrics = UsageMetrics::new(metrics);
        Arc::new(Self { store, deferred: Deferred::default(), ring: Arc::default(), metrics })
    }

    /// What moves the records to `objects`.
    #[must_use]
    pub fn mover(self: &Arc<Self>, objects: SealedObjects, settings: &config::Usage) -> Mover {
        Mover::new(Arc::clone(self), objects, settings.clone())
    }

    /// Writes a record, and returns when it is written, or kept to be written later.
    pub async fn write(&self, record: UsageRecord) {
        // Where some wait already, the store is away, and nobody else need find out.
        if self.deferred.is_empty() {
            match self.try_write(&record).await {
                Ok(()) => return self.metrics.written.inc(),
                Err(reason) => tracing::warn!(reason, record = %record.id, "a usage record has to wait"),
            }
        }
        self.metrics.deferred.inc();
        if let Err(lost) = self.deferred.push(record) {
            self.metrics.lost.inc();
            tracing::error!(record = ?lost, "a usage record is lost: too many wait for the store");
        }
        self.ring.notify_one();
    }

    async fn try_write(&self, record: &UsageRecord) -> Result<(), String> {
        let row = Due { id: record.id, what: record, due_in: Duration::ZERO };
        match timeout(PATIENCE, self.store.enqueue(Lane::Usage, &row)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }

    /// Writes what had to wait, as far as the store takes it. Whether all of it is written.
    async fn retry(&self) -> bool {
        while let Some(record) = self.deferred.first() {
            if self.try_write(&record).await.is_err() {
                return false;
            }
            self.deferred.remove(record.id);
            self.metrics.written.inc();
        }
        true
    }
}
