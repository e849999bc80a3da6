//! Moves usage records from the outbox to the object store, and deletes those that are old enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::session::{Lane, LeasedRow, OpenedRow, SessionError};
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::settings;
use faceline_shared::shutdown::CancellationToken;
use time::{Date, OffsetDateTime};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::{FOLDER, OWNER, Usage, UsageRecord};

/// Rows that are taken from the store at once, or finished.
const AT_ONCE: usize = 1000;
/// Records of an object.
const MOST: usize = 10 * AT_ONCE;
/// How long rows are this gateway's: above the time that the object store has. Whoever takes longer does it twice.
const LEASE: Duration = Duration::from_secs(20);
/// How often what had to wait is tried again, at least.
const LOOK: Duration = Duration::from_secs(1);
/// How often days are looked for that are old enough.
const CLEANING: Duration = Duration::from_secs(3600);
/// A row that cannot be read is left for another gateway, which may have the key.
const UNREADABLE: Duration = Duration::from_secs(600);

/// Why records are not moved. They stay, and are moved later.
#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(transparent)]
    Rows(#[from] SessionError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error("records cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// Moves records.
pub struct Mover {
    usage: Arc<Usage>,
    objects: SealedObjects,
    settings: settings::UsageSettings,
}

impl Mover {
    pub(super) fn new(usage: Arc<Usage>, objects: SealedObjects, settings: settings::UsageSettings) -> Self {
        Self { usage, objects, settings }
    }

    /// Moves records until `end`, and then all that are left.
    pub async fn run(self, end: CancellationToken) {
        let mut looks = interval(LOOK.min(self.settings.interval));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut moved, mut cleaned) = (Instant::now(), None::<Instant>);
        while !end.is_cancelled() {
            tokio::select! {
                () = end.cancelled() => break,
                _ = looks.tick() => (),
                () = self.usage.ring.notified() => (),
            }
            self.usage.retry().await;
            if moved.elapsed() >= self.settings.interval {
                self.move_all().await;
                moved = Instant::now();
            }
            if cleaned.is_none_or(|cleaned| cleaned.elapsed() >= CLEANING) {
                self.clean(OffsetDateTime::now_utc().date()).await;
                cleaned = Some(Instant::now());
            }
        }
        if !self.usage.retry().await {
            let lost = self.usage.deferred.len();
            self.usage.metrics.lost.inc_by(lost as u64);
            tracing::error!(lost, "usage records are lost: the store did not take them before the end");
        }
        self.move_all().await;
    }

    /// Moves what there is.
    async fn move_all(&self) {
        loop {
            match self.move_some().await {
                // There may be more.
                Ok(MOST) => (),
                Ok(_) => return,
                Err(error) => {
                    self.usage.metrics.batches.with_label_values(&["failed"]).inc();
                    tracing::warn!(%error, "usage records are not moved to the object store");
                    return;
                }
            }
        }
    }

    /// Moves up to [`MOST`] records: how many rows that were.
    async fn move_some(&self) -> Result<usize, MoveError> {
        let store = &self.usage.store;
        let mut rows: Vec<OpenedRow<UsageRecord>> = Vec::new();
        while rows.len() < MOST {
            let leased = store.lease(Lane::Usage, AT_ONCE, LEASE).await?;
            let count = leased.len();
            rows.extend(leased);
            if count < AT_ONCE {
                break;
            }
        }
        let count = rows.len();
        let mut days: BTreeMap<Date, Vec<UsageRecord>> = BTreeMap::new();
        let mut leased: Vec<LeasedRow> = Vec::with_capacity(count);
        for row in rows {
            match row.what {
                Ok(record) => {
                    days.entry(record.time.day()).or_default().push(record);
                    leased.push(row.leased);
                }
                Err(error) => {
                    tracing::error!(%error, row = %row.leased.id, "a usage record cannot be read");
                    store.postpone(&row.leased, UNREADABLE, None::<&UsageRecord>).await?;
                }
            }
        }
        for (day, records) in &days {
            let bytes = rmp_serde::to_vec_named(records)?;
            self.objects.put(OWNER, &format!("{FOLDER}/{day}/{}", Uuid::now_v7()), &bytes).await?;
            self.usage.metrics.batches.with_label_values(&["done"]).inc();
        }
        for rows in leased.chunks(AT_ONCE) {
            store.finish_all(Lane::Usage, rows).await?;
        }
        let waiting = store.outbox_depth(Lane::Usage).await?;
        self.usage.metrics.waiting.set(waiting.cast_signed());
        Ok(count)
    }

    /// Deletes the days that are older than they need be.
    async fn clean(&self, today: Date) {
        let kept = time::Duration::try_from(self.settings.retention).unwrap_or(time::Duration::MAX);
        let Some(oldest) = today.checked_sub(kept) else { return };
        let cleaned = async {
            for name in self.objects.folders(FOLDER).await? {
                let day = super::export::day(&name);
                if day.is_ok_and(|day| day < oldest) {
                    let objects = self.objects.delete_all(&format!("{FOLDER}/{name}")).await?;
                    tracing::info!(day = name, objects, "usage records are old enough to be deleted");
                }
            }
            Ok::<_, ObjectError>(())
        };
        if let Err(error) = cleaned.await {
            tracing::warn!(%error, "old usage records are not deleted");
        }
    }
}
