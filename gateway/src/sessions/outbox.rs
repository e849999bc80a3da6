//! Processes the sessions' lane of the transactional outbox.
//!
//! A row is written in the same transaction as the change that it follows, so it exists even if the gateway dies right after
//! the change. Every gateway leases rows that are due, does their work, and removes them. The work is idempotent, because a
//! row whose lease ends is processed again.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{OpenedRow, RecordError, SealedOutbox};
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::retry::Backoff;
use faceline_shared::shutdown::CancellationToken;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::follow_up::{ClearUp, EndReason, FollowUp};
use super::metrics::SessionMetrics;
use super::pictures::delete_pictures;
use super::service::Sessions;

/// Rows that are leased together. All of them are processed at the same time, because a row that waited for others could
/// outlive its lease.
const MAX_LEASED_ROWS: usize = 16;
/// Time for which a row belongs to this gateway.
const LEASE: Duration = Duration::from_secs(30);
/// Time limit for the work of a row. It ends before the lease does.
const ROW_TIMEOUT: Duration = Duration::from_secs(25);
/// Interval at which the outbox is polled if nothing else wakes the processor.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Delays before a failed row is retried.
const RETRIES: Backoff = Backoff::BACKGROUND;
/// Delay before a row that this gateway cannot read is tried again, perhaps by another gateway.
const UNREADABLE_ROW_DELAY: Duration = Duration::from_secs(60);

/// The next step for a row whose work succeeded.
enum NextStep {
    Finish,
    Repeat { after: Duration, payload: FollowUp },
}

/// Processes rows in the background.
pub struct OutboxProcessor {
    outbox: SealedOutbox,
    pictures: SealedObjects,
    row_is_due: Arc<Notify>,
    /// Longest time after a session's end at which a picture of it may still arrive in the object store.
    last_upload_after_end: Duration,
    metrics: SessionMetrics,
}

impl OutboxProcessor {
    /// A processor of the rows that `sessions` writes to `outbox`.
    #[must_use]
    pub fn new(sessions: &Sessions, outbox: SealedOutbox) -> Self {
        Self {
            outbox,
            pictures: sessions.pictures.clone(),
            row_is_due: Arc::clone(&sessions.row_is_due),
            last_upload_after_end: sessions.last_upload_after_end,
            metrics: sessions.metrics.clone(),
        }
    }

    /// Processes due rows until `shutdown`. Leased rows are finished first.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.process_due_rows().await {
                // More rows may be due.
                Ok(MAX_LEASED_ROWS) => (),
                Ok(_) => self.wait(&shutdown).await,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read");
                    self.wait(&shutdown).await;
                }
            }
        }
    }

    async fn wait(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = self.row_is_due.notified() => (),
            () = tokio::time::sleep(POLL_INTERVAL) => (),
        }
    }

    /// Leases and processes due rows, and returns their number.
    async fn process_due_rows(&self) -> Result<usize, RecordError> {
        let rows = self.outbox.lease(Lane::Sessions, MAX_LEASED_ROWS, LEASE).await?;
        let count = rows.len();
        stream::iter(rows).for_each_concurrent(MAX_LEASED_ROWS, |row| self.process(row)).await;
        self.metrics.depth.set(self.outbox.depth(Lane::Sessions).await?.cast_signed());
        Ok(count)
    }

    async fn process(&self, row: OpenedRow<FollowUp>) {
        let OpenedRow { payload, leased } = row;
        let retry_delay = RETRIES.delay(leased.attempt);
        let (outcome, settled) = match payload {
            Ok(payload) => match timeout(ROW_TIMEOUT, self.work(payload.clone())).await {
                Ok(Ok(NextStep::Finish)) => ("done", self.outbox.finish(&leased).await),
                Ok(Ok(NextStep::Repeat { after, payload })) => {
                    ("done", self.outbox.postpone(&leased, after, Some(&payload)).await)
                }
                // Writing the payload again seals it with the current key.
                Ok(Err(error)) => {
                    tracing::warn!(%error, row = %leased.id, attempt = leased.attempt, ?retry_delay, "a row of the outbox failed");
                    ("failed", self.outbox.postpone(&leased, retry_delay, Some(&payload)).await)
                }
                Err(_) => {
                    tracing::warn!(row = %leased.id, attempt = leased.attempt, ?retry_delay, "a row of the outbox took too long");
                    ("failed", self.outbox.postpone(&leased, retry_delay, Some(&payload)).await)
                }
            },
            // Another gateway may have the key, or know the form.
            Err(error) => {
                tracing::error!(%error, row = %leased.id, "a row of the outbox cannot be read");
                ("unreadable", self.outbox.postpone(&leased, UNREADABLE_ROW_DELAY, None::<&FollowUp>).await)
            }
        };
        self.metrics.rows.with_label_values(&[outcome]).inc();
        match settled {
            Ok(true) => (),
            Ok(false) => tracing::debug!(row = %leased.id, "another gateway has leased the row"),
            Err(error) => {
                tracing::warn!(%error, row = %leased.id, "a row of the outbox cannot be settled; it is repeated after its lease");
            }
        }
    }

    async fn work(&self, payload: FollowUp) -> Result<NextStep, ObjectError> {
        match payload {
            FollowUp::ClearUp(end) => self.clear_up(end).await,
            FollowUp::DeletePictures { session, faces } => {
                delete_pictures(&self.pictures, session, &faces).await?;
                Ok(NextStep::Finish)
            }
        }
    }

    async fn clear_up(&self, end: ClearUp) -> Result<NextStep, ObjectError> {
        let folders = end.folders();
        for folder in &folders {
            self.pictures.delete_all(folder).await?;
        }
        if end.again {
            return Ok(NextStep::Finish);
        }
        self.record_end(&end);
        if folders.is_empty() {
            return Ok(NextStep::Finish);
        }
        let payload = FollowUp::ClearUp(ClearUp { again: true, ..end });
        Ok(NextStep::Repeat { after: self.last_upload_after_end, payload })
    }

    /// Counts the session's end, and writes its audit record.
    fn record_end(&self, end: &ClearUp) {
        let (reason, key) = match &end.reason {
            EndReason::Expired => ("expired", None),
            EndReason::Deleted { key } => ("deleted", Some(key)),
        };
        self.metrics.ended.with_label_values(&[reason]).inc();
        tracing::info!(target: "faceline::audit", session = %end.session, client = end.client, reason, key, "session ended");
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
