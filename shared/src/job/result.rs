//! The results of jobs.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::examination::Examined;
use super::replay::{ReplayError, Replayed, VideoExamined};
use super::subject::Subject;
use crate::face::CodedFace;
use crate::score::Far;

/// Outcome of a job: its result, or the reason why it has none.
pub type Outcome = Result<JobResult, JobFailure>;

/// The result of a task.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum JobResult {
    /// Result of [`Task::Code`](super::Task::Code).
    Coded(CodedPicture),
    /// Result of [`Task::Match`](super::Task::Match).
    Matched(Box<Matched>),
    /// Result of [`Task::Rank`](super::Task::Rank): for each candidate, in order, the false acceptance rate at its
    /// score. This is how often two different people reach at least the score of the candidate and the reference.
    Ranked(Vec<Far>),
    /// Result of [`Task::EstimateAge`](super::Task::EstimateAge).
    Aged(AgedPicture),
    /// Result of [`Task::Compress`](super::Task::Compress): a JPEG file, upright.
    Compressed(Bytes),
    /// Result of [`Task::Examine`](super::Task::Examine).
    Examined(Box<Examined>),
    /// Result of [`Task::Replay`](super::Task::Replay).
    Replayed(Box<Replayed>),
    /// Result of [`Task::ExamineVideo`](super::Task::ExamineVideo).
    VideoExamined(Box<VideoExamined>),
}

/// A picture with the apparent age of the person in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AgedPicture {
    /// SHA-256 of the received bytes, in lower-case hex.
    pub digest: String,
    /// The quality as in [`CodedFace`]; [`QUALITY_NOBODY`](crate::face::QUALITY_NOBODY) if the picture has no face.
    pub quality: i32,
    /// The age in years; `None` if the picture has no face or the quality is negative.
    pub age: Option<f32>,
}

/// A worker's description of a picture.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CodedPicture {
    /// SHA-256 of the received bytes, in lower-case hex.
    pub digest: String,
    /// The face; `None` if the picture has none.
    pub face: Option<CodedFace>,
}

/// A worker's result of a comparison.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Matched {
    /// The reference; `None` if it was a template.
    pub reference: Option<CodedPicture>,
    /// The candidate.
    pub candidate: CodedPicture,
    /// The false acceptance rate at the score of these two faces: how often two different people reach at least this
    /// score.
    pub far: Far,
}

/// Reason why a job has no result.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, thiserror::Error)]
pub enum JobFailure {
    /// The bytes are not a usable picture.
    #[error("{subject:?}: {reason}")]
    BadPicture {
        /// The role of the picture.
        subject: Subject,
        /// The problem, in a message for the caller.
        reason: String,
    },
    /// The bytes are not a usable video.
    #[error("the video cannot be judged: {0}")]
    BadVideo(ReplayError),
    /// The picture has more faces than its kind allows.
    #[error("{subject:?}: several faces")]
    SeveralFaces {
        /// The role of the picture.
        subject: Subject,
    },
    /// The picture has no face, and a comparison needs one.
    #[error("{subject:?}: no face")]
    NoFace {
        /// The role of the picture.
        subject: Subject,
    },
    /// The template was made by another algorithm than the worker's.
    #[error("template of algorithm {theirs}, this worker has {ours}")]
    OtherAlgorithm {
        /// Algorithm and version of the template.
        theirs: String,
        /// Algorithm and version of the worker.
        ours: String,
    },
    /// A blob of the job is not in the blob store. The gateway may upload it again and republish the job.
    #[error("the picture's bytes are no longer in the blob store")]
    BlobLost,
    /// The job had expired when a worker received it.
    #[error("the job was {age_ms} ms old when a worker came to it")]
    Expired {
        /// Age on the worker's clock, in milliseconds.
        age_ms: u64,
    },
    /// A poison message: workers died while they had the job. It is not tried again.
    #[error("the job ended its worker {attempts} times")]
    Poison {
        /// Number of attempts.
        attempts: u32,
    },
    /// No worker that knows the task took the job in time: a newer gateway published it, and all workers are of an
    /// older build.
    #[error("no worker of a newer build took the job in time")]
    Unsupported,
    /// The worker does not have the key that has sealed the job.
    #[error("gateway and worker have different keys; they must share one key file (keys.file)")]
    OtherKeys,
    /// Any other failure; the worker's log has the details.
    #[error("internal error in the worker")]
    Internal,
}
