//! Moves usage records from the outbox to the object store, and deletes those whose retention is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::outbox::{Lane, LeasedRow};
use faceline_gateway_store::sealed::{OpenedRow, RecordError};
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::settings;
use faceline_shared::shutdown::CancellationToken;
use time::{Date, OffsetDateTime};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::export;
use super::record::UsageRecord;
use super::recorder::Usage;
use super::storage::{FOLDER, OWNER};

/// Rows that are leased or finished in one call.
const MAX_ROWS_PER_CALL: usize = 1000;
/// Maximum number of records of one move, and so of one object.
const MAX_RECORDS_PER_MOVE: usize = 10 * MAX_ROWS_PER_CALL;
/// Time for which leased rows belong to this gateway. It is above the time limit of the object store, because a move
/// that takes longer than the lease may store records twice.
const LEASE: Duration = Duration::from_secs(20);
/// Interval at which old days are deleted.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);
/// Delay before a row that this gateway cannot read is tried again, perhaps by a gateway that has the key.
const UNREADABLE_ROW_DELAY: Duration = Duration::from_secs(600);

/// Reason why records cannot be moved. They stay in the outbox and are moved later.
#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(transparent)]
    Rows(#[from] RecordError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error("records cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// Moves usage records in the background.
pub struct Mover {
    usage: Arc<Usage>,
    objects: SealedObjects,
    settings: settings::UsageSettings,
}

impl Mover {
    /// Moves the records of `usage` to `objects`.
    #[must_use]
    pub fn new(usage: Arc<Usage>, objects: SealedObjects, settings: settings::UsageSettings) -> Self {
        Self { usage, objects, settings }
    }

    /// Moves records until `end`, and then all remaining ones.
    pub async fn run(self, end: CancellationToken) {
        tokio::join!(self.move_until(&end), self.usage.redeliver(&end));
        self.move_all().await;
    }

    async fn move_until(&self, end: &CancellationToken) {
        let mut ticks = interval(self.settings.interval.min(CLEANUP_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once, before there is anything to move.
        ticks.tick().await;
        let mut cleaned = None::<Instant>;
        loop {
            if cleaned.is_none_or(|cleaned| cleaned.elapsed() >= CLEANUP_INTERVAL) {
                self.delete_old_days(OffsetDateTime::now_utc().date()).await;
                cleaned = Some(Instant::now());
            }
            tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => self.move_all().await,
            }
        }
    }

    /// Moves all records that are due, and updates the metric of the waiting ones.
    async fn move_all(&self) {
        self.move_due().await;
        // An outage of the outbox has already been reported.
        if let Ok(waiting) = self.usage.outbox.depth(Lane::Usage).await {
            self.usage.metrics.waiting.set(waiting.cast_signed());
        }
    }

    async fn move_due(&self) {
        loop {
            match self.move_some().await {
                // More records may be due.
                Ok(MAX_RECORDS_PER_MOVE) => (),
                Ok(_) => return,
                Err(error) => {
                    self.usage.metrics.batches.with_label_values(&["failed"]).inc();
                    tracing::warn!(%error, "usage records cannot be moved to the object store");
                    return;
                }
            }
        }
    }

    /// Moves up to [`MAX_RECORDS_PER_MOVE`] records, and returns the number of rows.
    async fn move_some(&self) -> Result<usize, MoveError> {
        let rows = self.lease().await?;
        let count = rows.len();
        let (days, leased) = self.by_day(rows).await?;
        for (day, records) in &days {
            let bytes = rmp_serde::to_vec_named(records)?;
            self.objects.put(OWNER, &format!("{FOLDER}/{day}/{}", Uuid::now_v7()), &bytes).await?;
            self.usage.metrics.batches.with_label_values(&["done"]).inc();
        }
        for rows in leased.chunks(MAX_ROWS_PER_CALL) {
            self.usage.outbox.finish_all(Lane::Usage, rows).await?;
        }
        Ok(count)
    }

    /// Leases up to [`MAX_RECORDS_PER_MOVE`] rows.
    async fn lease(&self) -> Result<Vec<OpenedRow<UsageRecord>>, RecordError> {
        let mut rows = Vec::new();
        while rows.len() < MAX_RECORDS_PER_MOVE {
            let leased = self.usage.outbox.lease(Lane::Usage, MAX_ROWS_PER_CALL, LEASE).await?;
            let count = leased.len();
            rows.extend(leased);
            if count < MAX_ROWS_PER_CALL {
                break;
            }
        }
        Ok(rows)
    }

    /// Sorts rows by the day of their records, and postpones those that cannot be read.
    async fn by_day(
        &self,
        rows: Vec<OpenedRow<UsageRecord>>,
    ) -> Result<(BTreeMap<Date, Vec<UsageRecord>>, Vec<LeasedRow>), RecordError> {
        let mut days: BTreeMap<Date, Vec<UsageRecord>> = BTreeMap::new();
        let mut leased: Vec<LeasedRow> = Vec::with_capacity(rows.len());
        for row in rows {
            match row.payload {
                Ok(record) => {
                    days.entry(record.time.day()).or_default().push(record);
                    leased.push(row.leased);
                }
                Err(error) => {
                    tracing::error!(%error, row = %row.leased.id, "a usage record cannot be read");
                    let outbox = &self.usage.outbox;
                    outbox.postpone(&row.leased, UNREADABLE_ROW_DELAY, None::<&UsageRecord>).await?;
                }
            }
        }
        Ok((days, leased))
    }

    /// Deletes the days whose retention is over.
    async fn delete_old_days(&self, today: Date) {
        let retention = time::Duration::try_from(self.settings.retention).unwrap_or(time::Duration::MAX);
        let Some(oldest) = today.checked_sub(retention) else { return };
        let deleted = async {
            for name in self.objects.folders(FOLDER).await? {
                let day = export::day(&name);
                if day.is_ok_and(|day| day < oldest) {
                    let objects = self.objects.delete_all(&format!("{FOLDER}/{name}")).await?;
                    tracing::info!(
                        day = name,
                        objects,
                        "usage records of a day are deleted: their retention is over"
                    );
                }
            }
            Ok::<_, ObjectError>(())
        };
        if let Err(error) = deleted.await {
            tracing::warn!(%error, "old usage records cannot be deleted");
        }
    }
}
