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

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faceline_gateway_store::session::{Due, Lane, SealedSessions};
use faceline_shared::object::SealedObjects;
use faceline_shared::settings;
use faceline_shared::telemetry::Metrics;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::timeout;

pub use self::command::{UsageCommand, UsageCommandError};
use self::deferred::Deferred;
use self::metrics::UsageMetrics;
pub use self::mover::Mover;
pub use self::record::UsageRecord;

/// An answer does not wait longer for its record to be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// Records that had to wait and are written at the same time: an embedded store shares its fsync between them.
const AT_ONCE: usize = 64;
/// Whose the objects are: they hold records of all clients.
const OWNER: &str = "usage";
/// Folder of the object store.
const FOLDER: &str = "usage";

/// Writes usage records.
pub struct Usage {
    store: SealedSessions,
    deferred: Deferred,
    /// The store did not take the last record that it was given.
    is_away: AtomicBool,
    /// Rung when there is something to be tried again.
    ring: Arc<Notify>,
    metrics: UsageMetrics,
}

impl Usage {
    /// Records by way of `store`.
    #[must_use]
    pub fn new(store: SealedSessions, metrics: &Metrics) -> Arc<Self> {
        let metrics = UsageMetrics::new(metrics);
        Arc::new(Self {
            store,
            deferred: Deferred::default(),
            is_away: AtomicBool::new(false),
            ring: Arc::default(),
            metrics,
        })
    }

    /// What moves the records to `objects`.
    #[must_use]
    pub fn mover(self: &Arc<Self>, objects: SealedObjects, settings: &settings::UsageSettings) -> Mover {
        Mover::new(Arc::clone(self), objects, settings.clone())
    }

    /// Writes a record, and returns when it is written, or kept to be written later.
    pub async fn write(&self, record: UsageRecord) {
        // While the store is away, nobody else need find out.
        if !self.is_away.load(Ordering::Relaxed) {
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
        let written = match timeout(PATIENCE, self.store.enqueue(Lane::Usage, &row)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        };
        self.is_away.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// Writes what has had to wait up to now, as far as the store takes it. Whether nothing waits any more.
    async fn retry(&self) -> bool {
        let mut left = self.deferred.len();
        while left > 0 {
            let records = self.deferred.first(left.min(AT_ONCE));
            left = left.saturating_sub(records.len());
            let tried = join_all(records.iter().map(|record| self.try_write(record))).await;
            let written: HashSet<_> = records
                .iter()
                .zip(&tried)
                .filter(|(_, tried)| tried.is_ok())
                .map(|(record, _)| record.id)
                .collect();
            self.metrics.written.inc_by(written.len() as u64);
            self.deferred.remove(&written);
            if written.len() < records.len() || records.is_empty() {
                return false;
            }
        }
        self.deferred.len() == 0
    }
}
