//! Does the work of the replays' lane: publishes jobs, ends replays whose time is over, and deletes media.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::outbox::{Lane, LeasedRow};
use faceline_gateway_store::sealed::{RecordError, SealedOutbox, UnsealedRow};
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::job::JobId;
use faceline_shared::job::replay::ReplayError;
use faceline_shared::object::{ObjectError, ObjectStore};
use faceline_shared::shutdown::CancellationToken;

use super::ending::{ReplayEnds, ended_without_image};
use super::judgement::Judgement;
use super::media::media_key;
use super::publishing::{JobPublisher, NotPublished};
use super::record::ReplayState;
use super::rows::ReplayWork;
use super::service::Replays;
use crate::outbox::{LaneTerms, LaneWorker, NextStep, OutboxMetrics, RowHandler};

/// Parameters of the work on the lane. A publish has its own, shorter time limit.
const TERMS: LaneTerms = LaneTerms { lane: Lane::Replays, slots: 16, row_timeout: Duration::from_secs(25) };
/// Maximum number of publishes of a job before its replay ends with ERROR.
const MAX_PUBLISHES: u32 = 2;
/// Maximum number of rows that are searched for jobs of an earlier process.
const MAX_LOST_JOBS: usize = 10_000;
/// Margin that is added to the remaining time when a time-out's row is due before that time has passed by the store's
/// clock.
const CLOCK_MARGIN: Duration = Duration::from_millis(100);
/// Delay before a row is retried whose replay changed during its work.
const CHANGED_DELAY: Duration = Duration::from_secs(1);

/// Reason why the work of a row fails. It is retried.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the job cannot be published: {0}")]
    Publish(#[from] NotPublished),
}

/// Works on the lane of replays in the background.
pub(super) struct ReplayProcessor(LaneWorker<ReplayRows>);

/// Does the work of the replays' rows.
struct ReplayRows {
    ends: ReplayEnds,
    publisher: JobPublisher,
    media: Arc<dyn ObjectStore>,
    deadline: Duration,
}

impl ReplayProcessor {
    /// Creates a processor of the rows that `replays` and the sessions' records write to the outbox.
    pub(super) fn new(
        replays: &Replays,
        ends: ReplayEnds,
        outbox: SealedOutbox,
        publisher: JobPublisher,
        metrics: OutboxMetrics,
    ) -> Self {
        let rows = ReplayRows {
            ends,
            publisher,
            media: Arc::clone(&replays.media),
            deadline: replays.settings.replay.deadline,
        };
        Self(LaneWorker::new(TERMS, outbox, Arc::clone(&replays.due_signals.work), rows, metrics))
    }

    /// Makes the rows due whose jobs were published before this process began. These jobs were lost with the embedded
    /// broker and the workers of the earlier process. A job with the maximum number of publishes waits for its deadline
    /// instead, because it may have ended that process.
    pub(super) async fn repeat_lost_jobs(outbox: &SealedOutbox) -> Result<(), RecordError> {
        for row in outbox.list::<ReplayWork>(Lane::Replays, MAX_LOST_JOBS).await? {
            let Ok(payload @ ReplayWork::Judge { published, .. }) = row.payload else { continue };
            if (1..MAX_PUBLISHES).contains(&published) {
                let row = UnsealedRow { id: row.id, payload, due_in: Duration::ZERO };
                outbox.enqueue(Lane::Replays, &row).await?;
            }
        }
        Ok(())
    }

    /// Processes due rows until `shutdown`. Leased rows are finished first.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        self.0.run(shutdown).await;
    }
}

impl RowHandler for ReplayRows {
    type Payload = ReplayWork;
    type Error = WorkError;

    async fn work(&self, _: &LeasedRow, payload: ReplayWork) -> Result<NextStep<ReplayWork>, WorkError> {
        match payload {
            ReplayWork::Judge { client, session, job, published } => {
                self.judge(SessionName { client, id: session }, job, published).await
            }
            ReplayWork::TimeOut { client, session, server_random } => {
                self.time_out(SessionName { client, id: session }, server_random).await
            }
            ReplayWork::DeleteMedia { object } => {
                self.media.delete(&object).await?;
                Ok(NextStep::Finish)
            }
        }
    }
}

impl ReplayRows {
    /// Publishes the job of a replay that is in progress, or ends the replay if its time is over.
    async fn judge(
        &self,
        name: SessionName,
        job: JobId,
        published: u32,
    ) -> Result<NextStep<ReplayWork>, WorkError> {
        let found = self.ends.find(&name).await?.filter(|found| found.in_progress(job).is_some());
        let Some(found) = found else {
            // The session or the replay has ended, or the replay has another job. Nothing needs the media any more.
            self.media.delete(&media_key(name.id, job)).await?;
            return Ok(NextStep::Finish);
        };
        if published >= MAX_PUBLISHES {
            let judgement = Judgement::error(ReplayError::NotInTime);
            let ended = ended_without_image(&found, &judgement);
            return Ok(if self.ends.end(&name, found, judgement.reason, ended).await? {
                // A row that deletes the media has replaced this one.
                NextStep::Finish
            } else {
                repeat_judge(name, job, published, CHANGED_DELAY)
            });
        }
        if let Some(submitted) = found.in_progress(job) {
            self.publisher.publish(&name, submitted).await?;
        }
        Ok(repeat_judge(name, job, published + 1, self.deadline))
    }

    /// Ends a replay with TIMEOUT, unless its upload is complete or in progress.
    async fn time_out(
        &self,
        name: SessionName,
        server_random: [u8; 32],
    ) -> Result<NextStep<ReplayWork>, WorkError> {
        let Some(found) = self.ends.find(&name).await? else { return Ok(NextStep::Finish) };
        let replay = &found.replay;
        let waits = matches!(replay.record.state, ReplayState::Initialized | ReplayState::Uploading { .. });
        if !waits || replay.record.server_random != server_random {
            return Ok(NextStep::Finish);
        }
        let again = |session: &SessionName, after| NextStep::Repeat {
            after,
            payload: ReplayWork::TimeOut {
                client: session.client.clone(),
                session: session.id,
                server_random,
            },
        };
        let left = replay.upload_left.max(replay.lease_left);
        if !left.is_zero() {
            return Ok(again(&name, left + CLOCK_MARGIN));
        }
        let judgement = Judgement::timeout();
        let ended = ended_without_image(&found, &judgement);
        if self.ends.end(&name, found, judgement.reason, ended).await? {
            return Ok(NextStep::Finish);
        }
        Ok(again(&name, CHANGED_DELAY))
    }
}

fn repeat_judge(name: SessionName, job: JobId, published: u32, after: Duration) -> NextStep<ReplayWork> {
    let SessionName { client, id: session } = name;
    NextStep::Repeat { after, payload: ReplayWork::Judge { client, session, job, published } }
}
