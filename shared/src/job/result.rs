//! What a worker answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::examination::Examined;
use super::subject::Subject;
use crate::face::CodedFace;
use crate::score::Far;

/// How a job ended.
pub type Outcome = Result<JobResult, JobFailure>;

/// What a worker found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum JobResult {
    /// Answer to [`Task::Code`](super::Task::Code).
    Coded(CodedPicture),
    /// Answer to [`Task::Match`](super::Task::Match).
    Matched(Box<Matched>),
    /// Answer to [`Task::Rank`](super::Task::Rank): for each candidate, in their order, how often two different people look as much alike
    /// as it and the reference.
    Ranked(Vec<Far>),
    /// Answer to [`Task::EstimateAge`](super::Task::EstimateAge).
    Aged(AgedPicture),
    /// Answer to [`Task::Compress`](super::Task::Compress): the file, upright.
    Compressed(Bytes),
    /// Answer to [`Task::Examine`](super::Task::Examine).
    Examined(Box<Examined>),
}

/// A picture with the age that the person in it seems to have.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AgedPicture {
    /// SHA-256 of the bytes received, lower-case hex.
    pub digest: String,
    /// As of [`CodedFace`]; [`QUALITY_NOBODY`](crate::face::QUALITY_NOBODY) where nobody is.
    pub quality: i32,
    /// In years; `None` where nobody is or the quality is negative.
    pub age: Option<f32>,
}

/// A picture as a worker describes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CodedPicture {
    /// SHA-256 of the bytes received, lower-case hex.
    pub digest: String,
    /// The face, or nobody.
    pub face: Option<CodedFace>,
}

/// A comparison as a worker describes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Matched {
    /// The reference, where it came as a picture.
    pub reference: Option<CodedPicture>,
    /// The candidate.
    pub candidate: CodedPicture,
    /// How often two different people look as much alike as these two faces.
    pub far: Far,
}

/// Why there is no result.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, thiserror::Error)]
pub enum JobFailure {
    /// The bytes cannot be used as a picture; the text is for the caller.
    #[error("{subject:?}: {reason}")]
    BadPicture {
        /// Which picture.
        subject: Subject,
        /// What is wrong, in words for the caller.
        reason: String,
    },
    /// More faces than the kind of picture allows.
    #[error("{subject:?}: several faces")]
    SeveralFaces {
        /// Which picture.
        subject: Subject,
    },
    /// A comparison needs a face and there is none.
    #[error("{subject:?}: no face")]
    NoFace {
        /// Which picture.
        subject: Subject,
    },
    /// The reference comes from another algorithm.
    #[error("template of algorithm {theirs}, this worker has {ours}")]
    OtherAlgorithm {
        /// Algorithm and version of the template.
        theirs: String,
        /// Algorithm and version of the worker.
        ours: String,
    },
    /// The blob is not in the store (any more). Publishing the job again may help, another picture does not.
    #[error("the picture's bytes are no longer in the blob store")]
    BlobLost,
    /// The job was older than its budget when a worker came to it.
    #[error("the job was {age_ms} ms old when a worker came to it")]
    Expired {
        /// Age on the worker's clock, in milliseconds.
        age_ms: u64,
    },
    /// The job took workers down with it, and is not tried again.
    #[error("the job ended its worker {attempts} times")]
    Poison {
        /// How often it was tried.
        attempts: u32,
    },
    /// Anything else; the worker's log has the detail.
    #[error("internal error in the worker")]
    Internal,
}
