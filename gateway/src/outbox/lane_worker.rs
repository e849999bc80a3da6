//! Leases the rows of one lane, runs their work, and settles them.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_gateway_store::outbox::{Lane, LeasedRow};
use faceline_gateway_store::sealed::{OpenedRow, RecordError, SealedOutbox};
use faceline_shared::retry::Backoff;
use faceline_shared::shutdown::CancellationToken;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::metrics::OutboxMetrics;

/// Interval at which a lane is polled if nothing else wakes its worker.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Delays before a row whose work failed is retried.
const RETRIES: Backoff = Backoff::BACKGROUND;
/// Delay before a row that this gateway cannot read is tried again, perhaps by another gateway.
const UNREADABLE_ROW_DELAY: Duration = Duration::from_secs(60);
/// Time between the end of a row's work, at the latest, and the end of its lease, in which the row is settled.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// The next step for a row whose work was done.
#[derive(Debug)]
pub(crate) enum NextStep<P> {
    /// The row is removed.
    Finish,
    /// The row is due again.
    Repeat {
        /// The row is due after this time.
        after: Duration,
        /// The row's new payload.
        payload: P,
    },
    /// The row moves to another lane.
    Transfer {
        /// The lane.
        to: Lane,
        /// The row is due there after this time.
        due_in: Duration,
    },
}

/// Does the work of the rows of a lane. It may be done twice for a row, so it must be idempotent.
pub(crate) trait RowHandler: Send + Sync + 'static {
    /// Description of the work.
    type Payload: Clone + DeserializeOwned + Serialize + Send + Sync + 'static;
    /// Failure of the work. The lane worker logs it and retries the row.
    type Error: Display + Send;

    /// Does the work of a row.
    fn work(
        &self,
        row: &LeasedRow,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<NextStep<Self::Payload>, Self::Error>> + Send;
}

/// Parameters of the work on a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneTerms {
    /// The lane.
    pub(crate) lane: Lane,
    /// Maximum number of rows in progress. A worker leases no more rows than it has free slots, because a row that
    /// waits could outlive its lease.
    pub(crate) slots: usize,
    /// Time limit for the work of a row.
    pub(crate) row_timeout: Duration,
}

/// Works on one lane in the background.
pub(crate) struct LaneWorker<H> {
    terms: LaneTerms,
    outbox: SealedOutbox,
    /// Notified when a row is due at once.
    row_is_due: Arc<Notify>,
    handler: H,
    metrics: OutboxMetrics,
}

impl<H: RowHandler> LaneWorker<H> {
    /// Creates a worker that passes its rows to `handler`. It polls the lane every second, and when `row_is_due` is
    /// notified.
    pub(crate) fn new(
        terms: LaneTerms,
        outbox: SealedOutbox,
        row_is_due: Arc<Notify>,
        handler: H,
        metrics: OutboxMetrics,
    ) -> Self {
        Self { terms, outbox, row_is_due, handler, metrics }
    }

    /// Works on rows until `shutdown`, and then finishes those that it has leased.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let worker = Arc::new(self);
        let mut rows = JoinSet::new();
        let mut measured = None::<Instant>;
        while !shutdown.is_cancelled() {
            while rows.try_join_next().is_some() {}
            if measured.is_none_or(|measured| measured.elapsed() >= POLL_INTERVAL) {
                worker.measure().await;
                measured = Some(Instant::now());
            }
            let free = worker.terms.slots - rows.len();
            if free == 0 {
                tokio::select! {
                    () = shutdown.cancelled() => (),
                    _ = rows.join_next() => (),
                }
                continue;
            }
            match worker.lease(free).await {
                Ok(leased) => {
                    // More rows may be due if this many were.
                    let may_be_more = leased.len() == free;
                    for row in leased {
                        let worker = Arc::clone(&worker);
                        rows.spawn(async move { worker.process(row).await });
                    }
                    if !may_be_more {
                        worker.wait(&shutdown).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, lane = ?worker.terms.lane, "the outbox cannot be read");
                    worker.wait(&shutdown).await;
                }
            }
        }
        while rows.join_next().await.is_some() {}
    }

    async fn wait(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = self.row_is_due.notified() => (),
            () = tokio::time::sleep(POLL_INTERVAL) => (),
        }
    }

    async fn measure(&self) {
        // The lease that follows reports an outage.
        if let Ok(rows) = self.outbox.depth(self.terms.lane).await {
            self.metrics.set_depth(self.terms.lane, rows);
        }
    }

    async fn lease(&self, limit: usize) -> Result<Vec<OpenedRow<H::Payload>>, RecordError> {
        self.outbox.lease(self.terms.lane, limit, self.terms.row_timeout + SETTLE_TIME).await
    }

    async fn process(&self, row: OpenedRow<H::Payload>) {
        let OpenedRow { payload, leased } = row;
        let lane = self.terms.lane;
        let retry_delay = RETRIES.delay(leased.attempt);
        let (outcome, settled) = match payload {
            Ok(payload) => {
                let work = self.handler.work(&leased, payload.clone());
                let error = match timeout(self.terms.row_timeout, work).await {
                    Ok(Ok(step)) => {
                        return self.report(lane, &leased, "done", self.settle(&leased, step).await);
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "it took too long".to_owned(),
                };
                let attempt = leased.attempt;
                tracing::warn!(error, ?lane, row = %leased.id, attempt, ?retry_delay, "a row of the outbox failed");
                // Writing the payload again seals it with the current key.
                ("failed", self.outbox.postpone(&leased, retry_delay, Some(&payload)).await)
            }
            // Another gateway may have the key, or know the payload's format.
            Err(error) => {
                tracing::error!(%error, ?lane, row = %leased.id, "a row of the outbox cannot be read");
                let postponed = self.outbox.postpone(&leased, UNREADABLE_ROW_DELAY, None::<&H::Payload>);
                ("unreadable", postponed.await)
            }
        };
        self.report(lane, &leased, outcome, settled);
    }

    async fn settle(&self, row: &LeasedRow, step: NextStep<H::Payload>) -> Result<bool, RecordError> {
        match step {
            NextStep::Finish => self.outbox.finish(row).await,
            NextStep::Repeat { after, payload } => self.outbox.postpone(row, after, Some(&payload)).await,
            NextStep::Transfer { to, due_in } => self.outbox.transfer(row.id, row.lane, to, due_in).await,
        }
    }

    fn report(&self, lane: Lane, row: &LeasedRow, outcome: &str, settled: Result<bool, RecordError>) {
        self.metrics.processed(lane, outcome);
        match settled {
            Ok(true) => (),
            Ok(false) => {
                tracing::debug!(?lane, row = %row.id, "the row was replaced, or another gateway has leased it");
            }
            Err(error) => {
                tracing::warn!(%error, ?lane, row = %row.id, "a row of the outbox cannot be settled; it is repeated after its lease");
            }
        }
    }
}
