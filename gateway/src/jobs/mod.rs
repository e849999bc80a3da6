//! The way of a job: published, remembered until it is answered, published again where the broker lost it.

mod claim;
mod dispatcher;
mod metrics;
mod pending;
mod replies;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::error::{BusyCause, Fault};
use faceline_shared::face::{Embedding, ImageType};
use faceline_shared::job::{JobFailure, JobId, JobResult};
use faceline_shared::liveness::Examination;
use faceline_shared::telemetry::TraceContext;

pub use self::dispatcher::Dispatcher;

/// A picture in a caller's request.
#[derive(Clone, Debug)]
pub struct SubmittedPicture {
    /// The file as received.
    pub bytes: Bytes,
    /// Its kind.
    pub image_type: ImageType,
    /// Look for faces that lie on their side or stand on their head, too.
    pub rotate: bool,
}

/// The known side of a comparison.
#[derive(Clone, Debug)]
pub enum SubmittedReference {
    /// A picture.
    Picture(SubmittedPicture),
    /// A template that was opened already.
    Template(Embedding),
}

/// What a worker shall do.
#[derive(Clone, Debug)]
pub enum Task {
    /// Describe the face in a picture.
    Code(SubmittedPicture),
    /// Compare two faces.
    Match {
        /// One side.
        reference: SubmittedReference,
        /// The other side.
        candidate: SubmittedPicture,
    },
    /// Compare a face with many.
    Rank {
        /// One side.
        reference: Embedding,
        /// The other sides.
        candidates: Vec<Embedding>,
    },
    /// Estimate the age of the person in a picture.
    EstimateAge(SubmittedPicture),
    /// Make a picture's file a JPEG.
    Compress(Bytes),
    /// Say whether live pictures show a living person, and whether that is the one in a photo.
    Examine(Examination<Bytes>),
}

/// A task with whose it is and how long it may take.
#[derive(Clone, Debug)]
pub struct Order {
    /// The job's id; also in the log.
    pub id: JobId,
    /// Whose it is.
    pub client: String,
    /// What to do.
    pub task: Task,
    /// Time that the caller waits.
    pub budget: Duration,
    /// The caller named the budget (a gRPC deadline).
    pub callers_own_deadline: bool,
    /// The request's trace.
    pub trace: TraceContext,
}

/// Why an order has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// It took too long, or something broke.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is no room for it; admission knows when there will be.
    #[error("{0:?}")]
    Busy(BusyCause),
    /// A worker answered that it cannot be done; each API family has its own words for that.
    #[error(transparent)]
    Failed(#[from] JobFailure),
}

/// How an order ended.
pub type OrderResult = Result<JobResult, OrderError>;
