//! Ends replays: the terminal status, the callback and all other work that follows are written in one store operation.

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{
    OpenedReplay, RecordError, SealedSessions, UnsealedChange, UnsealedRow,
};
use faceline_gateway_store::sessions::{ReplayLookup, ReplayOutcome, SessionName};
use faceline_shared::job::JobId;
use faceline_shared::telemetry::Metrics;
use uuid::Uuid;

use super::derived_id::derived_id;
use super::due::DueSignals;
use super::judgement::Judgement;
use super::media::media_key;
use super::metrics::ReplayMetrics;
use super::record::{EndedReplay, ReplayRecord, ReplayState, ReplayStatus, SubmittedReplay};
use super::rows::{Callback, ReplayRow, ReplayWork};
use crate::sessions::Session;
use crate::timestamp::Timestamp;
use crate::usage::UsageRecord;

/// The API family in usage records.
const FAMILY: &str = "biometric_services";
/// The HTTP status in usage records of replays that were judged; their callers read the status of the replay.
const JUDGED_STATUS: u16 = 200;

/// Ends the replays of an installation.
#[derive(Clone)]
pub(super) struct ReplayEnds {
    records: SealedSessions,
    due_signals: Arc<DueSignals>,
    pub(super) metrics: ReplayMetrics,
}

/// A replay with its session.
#[derive(Debug)]
pub(super) struct FoundReplay {
    pub(super) replay: OpenedReplay<ReplayRecord>,
    session: Session,
}

impl FoundReplay {
    /// The submitted replay, if a worker judges it.
    fn submitted(&self) -> Option<&SubmittedReplay> {
        match &self.replay.record.state {
            ReplayState::InProgress(submitted) => Some(submitted),
            _ => None,
        }
    }

    /// The submitted replay, if this job judges it.
    pub(super) fn in_progress(&self, job: JobId) -> Option<&SubmittedReplay> {
        self.submitted().filter(|submitted| submitted.job == job)
    }
}

impl ReplayEnds {
    /// Ends replays in `records`, and notifies the workers of the lanes that do the work that follows.
    pub(super) fn new(records: SealedSessions, due_signals: Arc<DueSignals>, metrics: &Metrics) -> Self {
        Self { records, due_signals, metrics: ReplayMetrics::new(metrics) }
    }

    /// Reads the replay of a session; `None` if there is no session, or no replay in it.
    pub(super) async fn find(&self, name: &SessionName) -> Result<Option<FoundReplay>, RecordError> {
        let ReplayLookup::Found(replay) = self.records.replay(name).await? else { return Ok(None) };
        let Some((session, _)) = self.records.session(name).await? else { return Ok(None) };
        Ok(Some(FoundReplay { replay, session }))
    }

    /// Ends a replay that was found. Returns false if it has changed since, or its session has ended.
    pub(super) async fn end(
        &self,
        name: &SessionName,
        found: FoundReplay,
        reason: &str,
        ended: EndedReplay,
    ) -> Result<bool, RecordError> {
        let rows = rows(name, &found, &ended);
        let FoundReplay { replay, .. } = found;
        let (status, job) = (ended.status, ended.job);
        let record = ReplayRecord { state: ReplayState::Ended(Box::new(ended)), ..replay.record };
        let change = UnsealedChange {
            expected: replay.revision,
            record: &record,
            in_progress: false,
            upload_within: None,
            lease: Duration::ZERO,
            rows,
        };
        // The end of a replay must not fail because the client has reached a bound.
        match self.records.change_replay(name, &change, &ClientBounds::NONE).await? {
            ReplayOutcome::Changed { .. } => (),
            ReplayOutcome::OtherRevision | ReplayOutcome::NoSession => return Ok(false),
        }
        self.metrics.ended(label(status), reason, job);
        let job = job.map(tracing::field::display);
        tracing::info!(session = %name.id, client = name.client, job, ?status, reason, "replay ended");
        self.due_signals.note_all();
        Ok(true)
    }
}

/// The end of a replay without a best image.
pub(super) fn ended_without_image(found: &FoundReplay, judgement: &Judgement) -> EndedReplay {
    let submitted = found.submitted();
    EndedReplay {
        job: submitted.map(|submitted| submitted.job),
        media_digest: submitted.map(|submitted| submitted.media_digest),
        status: judgement.status,
        diagnostic: judgement.diagnostic.map(str::to_owned),
        best_image: None,
        best_face: None,
        best_face_id: None,
        age: None,
        device_info: submitted.and_then(|submitted| submitted.device_info.clone()),
        sdk_info: submitted.and_then(|submitted| submitted.sdk_info.clone()),
        image_storage: None,
        video_storage: None,
    }
}

/// The work that follows the end.
fn rows(name: &SessionName, found: &FoundReplay, ended: &EndedReplay) -> Vec<(Lane, UnsealedRow<ReplayRow>)> {
    let FoundReplay { replay, session } = found;
    let now = |id, payload| UnsealedRow { id, payload, due_in: Duration::ZERO };
    let mut rows = Vec::new();
    let media = match &replay.record.state {
        ReplayState::InProgress(submitted) => Some((submitted.job, submitted.task.media.object.clone())),
        ReplayState::Uploading { upload } => Some((*upload, media_key(name.id, *upload))),
        ReplayState::Initialized | ReplayState::Ended(_) => None,
    };
    if let Some((job, object)) = media {
        // The row has the id of the job's row, and replaces it.
        rows.push((Lane::Replays, now(job, ReplayRow::Work(ReplayWork::DeleteMedia { object }))));
    }
    let submitted = found.submitted();
    if let Some(url) = &session.callback_url {
        let callback = Callback {
            client: name.client.clone(),
            session: name.id,
            url: url.clone(),
            session_expires: session.expires,
            failures: 0,
            last_failure: None,
            is_replayed: false,
            traceparent: submitted.map(|submitted| submitted.traceparent.clone()),
            tracestate: submitted.and_then(|submitted| submitted.tracestate.clone()),
        };
        let id = derived_id("callback", &[name.id.as_bytes(), &replay.record.server_random[..]].concat());
        rows.push((Lane::Callbacks, now(id, ReplayRow::Callback(Box::new(callback)))));
    }
    if let Some(job) = ended.job {
        let record = usage_record(name, session, &replay.record, ended.status, job);
        rows.push((Lane::Usage, now(record.id, ReplayRow::Usage(Box::new(record)))));
    }
    rows
}

/// The usage record of a replay that a worker was asked to judge.
fn usage_record(
    name: &SessionName,
    session: &Session,
    replay: &ReplayRecord,
    status: ReplayStatus,
    job: JobId,
) -> UsageRecord {
    UsageRecord {
        id: derived_id("usage", job.as_bytes()),
        time: Timestamp::now(),
        client: name.client.clone(),
        key: String::new(),
        family: FAMILY.to_owned(),
        operation: format!("judge_{}", replay.liveness.as_str().to_ascii_lowercase()),
        status: JUDGED_STATUS,
        outcome: label(status).to_owned(),
        request: None,
        job: Some(job),
        session: Some(name.id),
        reference_number: None,
        correlation_id: session.correlation_id.clone(),
        evidence_id: session.evidence_id.clone(),
    }
}

/// The id of the face that is made from a replay's best image.
pub(super) fn best_face_id(job: JobId) -> Uuid {
    derived_id("face", job.as_bytes())
}

fn label(status: ReplayStatus) -> &'static str {
    match status {
        ReplayStatus::Initialized => "initialized",
        ReplayStatus::InProgress => "in_progress",
        ReplayStatus::Success => "success",
        ReplayStatus::Failed => "failed",
        ReplayStatus::Spoof => "spoof",
        ReplayStatus::Error => "error",
        ReplayStatus::Timeout => "timeout",
    }
}
