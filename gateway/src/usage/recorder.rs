//! Writes usage records to the outbox.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{SealedOutbox, UnsealedRow};
use faceline_shared::telemetry::Metrics;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::deferred::DeferredRecords;
use super::metrics::UsageMetrics;
use super::record::UsageRecord;

/// Longest time for which an answer waits for its record to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Deferred records that are written at the same time. An embedded store shares one fsync between them.
const MAX_CONCURRENT_WRITES: usize = 64;

/// Writes usage records.
pub struct Usage {
    pub(super) outbox: SealedOutbox,
    pub(super) deferred: DeferredRecords,
    /// The outbox did not take the last record in time.
    is_outbox_unavailable: AtomicBool,
    /// Notified when a record has been deferred.
    pub(super) record_deferred: Arc<Notify>,
    pub(super) metrics: UsageMetrics,
}

impl Usage {
    /// Writes records to `outbox`.
    #[must_use]
    pub fn new(outbox: SealedOutbox, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            deferred: DeferredRecords::default(),
            is_outbox_unavailable: AtomicBool::new(false),
            record_deferred: Arc::default(),
            metrics: UsageMetrics::new(metrics),
        })
    }

    /// Writes a record. Returns when the record is written or deferred.
    pub async fn write(&self, record: UsageRecord) {
        // While the outbox is unavailable, only the retries wait for it.
        if !self.is_outbox_unavailable.load(Ordering::Relaxed) {
            match self.try_write(&record).await {
                Ok(()) => return self.metrics.written.inc(),
                Err(reason) => tracing::warn!(reason, record = %record.id, "a usage record is deferred"),
            }
        }
        self.metrics.deferred.inc();
        if let Err(lost) = self.deferred.push(record) {
            self.metrics.lost.inc();
            tracing::error!(record = ?lost, "a usage record is lost: too many are deferred");
        }
        self.record_deferred.notify_one();
    }

    async fn try_write(&self, record: &UsageRecord) -> Result<(), String> {
        let row = UnsealedRow { id: record.id, payload: record, due_in: Duration::ZERO };
        let written = match timeout(WRITE_TIMEOUT, self.outbox.enqueue(Lane::Usage, &row)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {WRITE_TIMEOUT:?}")),
        };
        self.is_outbox_unavailable.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// Writes the records that are deferred now, until the outbox fails. True if no deferred record is left.
    pub(super) async fn retry_deferred(&self) -> bool {
        let mut left = self.deferred.len();
        while left > 0 {
            let records = self.deferred.first(left.min(MAX_CONCURRENT_WRITES));
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
