//! Does what is due because of a change.
//!
//! A row was written together with its change, so whoever dies in between, the row is there; each gateway takes rows
//! that are due for a while (a lease), does what they say and removes them. What they say can be done twice.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::session::{Lane, OpenedRow, SealedSessions, SessionError};
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::shutdown::CancellationToken;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use super::Sessions;
use super::follow_up::{self, ClearUp, EndReason, FollowUp};
use super::metrics::SessionMetrics;

/// Rows that are taken and done at the same time: one that had to wait for others would outlive its lease.
const BATCH: usize = 16;
/// Pictures that are deleted at the same time.
const AT_ONCE: usize = 16;
/// How long a row is this gateway's.
const LEASE: Duration = Duration::from_secs(30);
/// A row is given up before others may take it.
const LIMIT: Duration = Duration::from_secs(25);
/// How often the outbox is looked into where nobody rings.
const LOOK: Duration = Duration::from_secs(1);
/// A row that fails is tried again after a second, then two, then four, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What becomes of a row.
enum Next {
    Done,
    Again { after: Duration, what: FollowUp },
}

/// Rows and what it takes to do them.
pub struct Outbox {
    records: SealedSessions,
    pictures: SealedObjects,
    ring: Arc<Notify>,
    /// The longest that a picture may be on its way into the object store after its session's end.
    late: Duration,
    metrics: SessionMetrics,
}

impl Outbox {
    /// The outbox of `sessions`.
    #[must_use]
    pub fn of(sessions: &Sessions) -> Self {
        Self {
            records: sessions.records.clone(),
            pictures: sessions.pictures.clone(),
            ring: Arc::clone(&sessions.outbox),
            late: sessions.late,
            metrics: sessions.metrics.clone(),
        }
    }

    /// Does what is due until `shutdown`; what was begun is finished then.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.round().await {
                // There may be more.
                Ok(BATCH) => (),
                Ok(_) => self.rest(&shutdown).await,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be looked into");
                    self.rest(&shutdown).await;
                }
            }
        }
    }

    async fn rest(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = self.ring.notified() => (),
            () = tokio::time::sleep(LOOK) => (),
        }
    }

    /// Takes what is due and does it; how many rows that were.
    async fn round(&self) -> Result<usize, SessionError> {
        let rows = self.records.lease(Lane::Sessions, BATCH, LEASE).await?;
        let count = rows.len();
        stream::iter(rows).for_each_concurrent(BATCH, |row| self.settle(row)).await;
        self.metrics.depth.set(self.records.outbox_depth(Lane::Sessions).await?.cast_signed());
        Ok(count)
    }

    async fn settle(&self, row: OpenedRow<FollowUp>) {
        let OpenedRow { what, leased } = row;
        let pause = Duration::from_secs(1 << leased.attempt.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
        let (outcome, settled) = match what {
            Ok(what) => match timeout(LIMIT, self.act(what.clone())).await {
                Ok(Ok(Next::Done)) => ("done", self.records.finish(&leased).await),
                Ok(Ok(Next::Again { after, what })) => {
                    ("done", self.records.postpone(&leased, after, Some(&what)).await)
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, row = %leased.id, attempt = leased.attempt, "a row of the outbox has to wait");
                    // Written anew, so that it is sealed with the present key.
                    ("failed", self.records.postpone(&leased, pause, Some(&what)).await)
                }
                Err(_) => {
                    tracing::warn!(row = %leased.id, attempt = leased.attempt, "a row of the outbox takes too long");
                    ("failed", self.records.postpone(&leased, pause, Some(&what)).await)
                }
            },
            // Another gateway may have the key, or know the form.
            Err(error) => {
                tracing::error!(%error, row = %leased.id, "a row of the outbox cannot be read");
                ("unreadable", self.records.postpone(&leased, LONGEST_PAUSE, None::<&FollowUp>).await)
            }
        };
        self.metrics.rows.with_label_values(&[outcome]).inc();
        match settled {
            Ok(true) => (),
            Ok(false) => tracing::debug!(row = %leased.id, "another gateway has the row by now"),
            // The lease ends, and it is done again.
            Err(error) => tracing::warn!(%error, row = %leased.id, "a row of the outbox stays"),
        }
    }

    async fn act(&self, what: FollowUp) -> Result<Next, ObjectError> {
        match what {
            FollowUp::ClearUp(end) => self.clear_up(end).await,
            FollowUp::DeletePictures { session, faces } => {
                delete_pictures(&self.pictures, session, &faces).await?;
                Ok(Next::Done)
            }
        }
    }

    async fn clear_up(&self, end: ClearUp) -> Result<Next, ObjectError> {
        if end.keeps_pictures {
            self.pictures.delete_all(&follow_up::folder(end.session)).await?;
        }
        if end.again {
            return Ok(Next::Done);
        }
        self.record(&end);
        if !end.keeps_pictures {
            return Ok(Next::Done);
        }
        Ok(Next::Again { after: self.late, what: FollowUp::ClearUp(ClearUp { again: true, ..end }) })
    }

    /// The audit record of a session's end.
    fn record(&self, end: &ClearUp) {
        let (reason, key) = match &end.reason {
            EndReason::Expired => ("expired", None),
            EndReason::Deleted { key } => ("deleted", Some(key)),
        };
        self.metrics.ended.with_label_values(&[reason]).inc();
        tracing::info!(target: "faceline::audit", session = %end.session, client = end.client, reason, key, "session ended");
    }
}

/// Deletes the pictures of these faces, several at a time, up to the first that cannot be.
pub(super) async fn delete_pictures(
    pictures: &SealedObjects,
    session: Uuid,
    faces: &[Uuid],
) -> Result<(), ObjectError> {
    let keys = faces.iter().map(|face| follow_up::picture(session, *face));
    let delete = |key: String| async move { pictures.delete(&key).await };
    stream::iter(keys.map(Ok)).try_for_each_concurrent(AT_ONCE, delete).await
}
