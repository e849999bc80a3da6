//! Writes usage records to the outbox, or to the spill while the outbox is unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faceline_gateway_store::outbox::{Lane, NewRow};
use faceline_gateway_store::sealed::{RecordError, SealedOutbox, UnsealedRow};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::metrics::UsageMetrics;
use super::record::UsageRecord;
use super::spill::Spill;

/// Longest time for which an answer waits for its record to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time for which an answer waits for a deferred record to be on the disk. The record is written in any case.
const SPILL_TIMEOUT: Duration = Duration::from_millis(250);

/// Writes usage records.
pub struct Usage {
    pub(super) outbox: SealedOutbox,
    pub(super) spill: Spill,
    /// The outbox did not take the last record in time.
    is_outbox_unavailable: AtomicBool,
    /// Notified when a record has been deferred.
    pub(super) record_deferred: Notify,
    /// The writes that are in progress.
    writes: TaskTracker,
    pub(super) metrics: UsageMetrics,
}

impl Usage {
    /// Writes records to `outbox`.
    ///
    /// # Errors
    /// The thread that writes deferred records cannot be started.
    pub fn start(outbox: SealedOutbox, settings: &Settings, metrics: &Metrics) -> std::io::Result<Arc<Self>> {
        let metrics = UsageMetrics::new(metrics);
        let spill = Spill::start(&settings.data_dir, settings.usage.deferred_bytes, metrics.spill.clone())?;
        Ok(Arc::new(Self {
            outbox,
            spill,
            is_outbox_unavailable: AtomicBool::new(false),
            record_deferred: Notify::new(),
            writes: TaskTracker::new(),
            metrics,
        }))
    }

    /// Writes a record in a task of its own, which continues when the caller disconnects. The task ends when the
    /// record is written or deferred.
    pub fn write(self: &Arc<Self>, record: UsageRecord) -> JoinHandle<()> {
        let usage = Arc::clone(self);
        self.writes.spawn(async move { usage.write_or_defer(record).await })
    }

    async fn write_or_defer(&self, record: UsageRecord) {
        let row = UnsealedRow { id: record.id, payload: &record, due_in: Duration::ZERO };
        let row = match self.outbox.seal(&row) {
            Ok(row) => row,
            Err(error) => {
                self.metrics.lost.inc();
                return tracing::error!(%error, ?record, "a usage record is lost: it cannot be sealed");
            }
        };
        // While the outbox is unavailable, only the redelivery tries it.
        if !self.is_outbox_unavailable.load(Ordering::Relaxed) {
            match self.try_write(row.clone()).await {
                Ok(()) => return self.metrics.written.inc(),
                Err(reason) => tracing::warn!(reason, record = %row.id, "usage records are deferred"),
            }
        }
        self.metrics.deferred.inc();
        self.record_deferred.notify_one();
        if self.spill.keep(row).await.is_err() {
            self.metrics.lost.inc();
            tracing::error!(?record, "a usage record is lost: too many are deferred");
        }
    }

    /// Writes a row to the outbox.
    pub(super) async fn try_write(&self, row: NewRow) -> Result<(), String> {
        let written = match timeout(WRITE_TIMEOUT, self.outbox.enqueue_sealed(Lane::Usage, row)).await {
            Ok(written) => written.map_err(|error: RecordError| error.to_string()),
            Err(_) => Err(format!("no answer within {WRITE_TIMEOUT:?}")),
        };
        self.is_outbox_unavailable.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// Lets the next record try the outbox.
    pub(super) fn try_outbox_again(&self) {
        self.is_outbox_unavailable.store(false, Ordering::Relaxed);
    }

    /// Waits until all writes that have begun are finished. No write may begin after the call.
    pub(super) async fn finish_writes(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    /// Longest time for which an answer waits for its record.
    #[must_use]
    pub fn longest_wait() -> Duration {
        WRITE_TIMEOUT + SPILL_TIMEOUT
    }
}
