//! Does the work that follows changes of sessions: the sessions' lane of the transactional outbox.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::outbox::{Lane, LeasedRow};
use faceline_gateway_store::sealed::SealedOutbox;
use faceline_shared::object::{ObjectError, SealedObjects};
use faceline_shared::shutdown::CancellationToken;

use super::follow_up::{ClearUp, EndReason, FollowUp};
use super::metrics::SessionMetrics;
use super::pictures::delete_pictures;
use super::service::Sessions;
use crate::outbox::{LaneTerms, LaneWorker, NextStep, RowHandler};

/// Parameters of the work on the lane.
const TERMS: LaneTerms = LaneTerms { lane: Lane::Sessions, slots: 16, row_timeout: Duration::from_secs(25) };

/// Processes rows in the background.
pub struct OutboxProcessor(LaneWorker<SessionRows>);

/// Does the work of the sessions' rows.
struct SessionRows {
    pictures: SealedObjects,
    /// Longest time after a session's end at which a picture of it may still arrive in the object store.
    last_upload_after_end: Duration,
    metrics: SessionMetrics,
}

impl OutboxProcessor {
    /// A processor of the rows that `sessions` writes to `outbox`.
    #[must_use]
    pub fn new(sessions: &Sessions, outbox: SealedOutbox) -> Self {
        let rows = SessionRows {
            pictures: sessions.pictures.clone(),
            last_upload_after_end: sessions.last_upload_after_end,
            metrics: sessions.metrics.clone(),
        };
        let metrics = sessions.outbox_metrics();
        Self(LaneWorker::new(TERMS, outbox, Arc::clone(&sessions.row_is_due), rows, metrics))
    }

    /// Processes due rows until `shutdown`. Leased rows are finished first.
    pub async fn run(self, shutdown: CancellationToken) {
        self.0.run(shutdown).await;
    }
}

impl RowHandler for SessionRows {
    type Payload = FollowUp;
    type Error = ObjectError;

    async fn work(&self, _: &LeasedRow, payload: FollowUp) -> Result<NextStep<FollowUp>, ObjectError> {
        match payload {
            FollowUp::ClearUp(end) => self.clear_up(end).await,
            FollowUp::DeletePictures { session, faces } => {
                delete_pictures(&self.pictures, session, &faces).await?;
                Ok(NextStep::Finish)
            }
        }
    }
}

impl SessionRows {
    async fn clear_up(&self, end: ClearUp) -> Result<NextStep<FollowUp>, ObjectError> {
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
