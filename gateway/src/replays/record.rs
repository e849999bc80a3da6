//! The record of a replay.

use faceline_shared::job::JobId;
use faceline_shared::job::replay::{ExportedMedia, Replay};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::LivenessType;
use faceline_shared::telemetry::TraceContext;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sessions::face::FaceDescription;

/// A replay as the session store keeps it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReplayRecord {
    /// The id from the caller or a random one. Answers repeat it.
    pub id: String,
    /// The kind of request that began the replay.
    pub origin: ReplayOrigin,
    /// The kind of liveness that the video must prove.
    pub liveness: LivenessType,
    /// The security level of the judgement.
    pub level: SecurityLevel,
    /// Number of challenges; 0 unless `liveness` is [`LivenessType::Active`].
    pub challenge_count: u8,
    /// Whether the status contains the best image: only after an explicit `imageRetrievalDisabled: false`.
    pub returns_image: bool,
    /// The seed of the challenges.
    pub seed: u32,
    /// Random bytes that the upload repeats.
    pub server_random: [u8; 32],
    /// SHA-256 of the capture token.
    pub capture_token: [u8; 32],
    /// The signed JSON of the parameters, which answers repeat.
    pub answer: String,
    /// The state.
    pub state: ReplayState,
}

/// The kind of request that began a replay.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ReplayOrigin {
    /// `init-liveness-parameters`: an app with a native SDK captures.
    NativeSdk,
    /// `init-liveness-session`: a page captures. The best image becomes a face of the session.
    WebCapture {
        /// The age that the person is compared with, in years.
        age_threshold: Option<u16>,
    },
}

/// The state of a replay.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum ReplayState {
    /// The replay waits for the upload.
    Initialized,
    /// A gateway receives an upload, for as long as the lease in the store lasts. Callers see INITIALIZED.
    Uploading {
        /// The random id of the upload.
        upload: Uuid,
    },
    /// The upload is complete, and a worker judges it.
    InProgress(Box<SubmittedReplay>),
    /// The replay has ended.
    Ended(Box<EndedReplay>),
}

/// A replay whose upload is complete.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SubmittedReplay {
    /// The id of the job, which also names the media's object.
    pub job: JobId,
    /// SHA-256 of the encrypted media. A repeated upload with this digest gets the same answer.
    pub media_digest: [u8; 32],
    /// The task of the job.
    pub task: Replay,
    /// The device, as it described itself (JSON of `DeviceInfo`).
    pub device_info: Option<serde_json::Value>,
    /// The SDK, as it described itself (JSON of `SdkInfo`).
    pub sdk_info: Option<serde_json::Value>,
    /// W3C trace context of the upload.
    pub traceparent: String,
    /// Its `tracestate`. Records of earlier builds have none.
    #[serde(default)]
    pub tracestate: Option<String>,
}

/// The end of a replay.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EndedReplay {
    /// The job; `None` after a timeout without an upload.
    pub job: Option<JobId>,
    /// SHA-256 of the encrypted media, as in [`SubmittedReplay::media_digest`].
    pub media_digest: Option<[u8; 32]>,
    /// The terminal status.
    pub status: ReplayStatus,
    /// The cause in words for the service provider; `None` after a success.
    pub diagnostic: Option<String>,
    /// Key of the best image in the sealed object store: `sessions/{session}/replay-{job}`.
    pub best_image: Option<String>,
    /// The face in the best image.
    pub best_face: Option<FaceDescription>,
    /// The id of the session's face that was made from the best image (web capture).
    pub best_face_id: Option<Uuid>,
    /// Estimated age in years (web capture with an age threshold).
    pub age: Option<f32>,
    /// As in [`SubmittedReplay::device_info`].
    pub device_info: Option<serde_json::Value>,
    /// As in [`SubmittedReplay::sdk_info`].
    pub sdk_info: Option<serde_json::Value>,
    /// The exported best image.
    pub image_storage: Option<ExportedMedia>,
    /// The exported video.
    pub video_storage: Option<ExportedMedia>,
}

/// The status of a replay, by its name in the API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplayStatus {
    /// The replay waits for the upload.
    Initialized,
    /// A worker judges the video.
    InProgress,
    /// The video shows a living person, who followed the challenges if there were any.
    Success,
    /// The video is bona fide but unusable, or the challenges were not followed.
    Failed,
    /// The video shows evidence of an attack.
    Spoof,
    /// A technical error occurred.
    Error,
    /// No upload arrived in time.
    Timeout,
}

impl SubmittedReplay {
    /// The trace context of the upload's span. Later events of the replay belong to the same trace.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        TraceContext::continued(Some(&self.traceparent), self.tracestate.as_deref())
    }
}

impl ReplayRecord {
    /// The status as callers see it.
    #[must_use]
    pub fn status(&self) -> ReplayStatus {
        match &self.state {
            ReplayState::Initialized | ReplayState::Uploading { .. } => ReplayStatus::Initialized,
            ReplayState::InProgress(_) => ReplayStatus::InProgress,
            ReplayState::Ended(ended) => ended.status,
        }
    }
}
