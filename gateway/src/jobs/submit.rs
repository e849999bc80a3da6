//! The port to the job side: submit a job, wait for its result.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::job::{JobFailure, JobId, JobResult, Task};
use faceline_shared::telemetry::TraceContext;

use crate::fault::{BusyCause, Fault};

/// A task, with whose it is and how long it may take.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// The job's id; also in the log.
    pub id: JobId,
    /// The client that the job belongs to.
    pub client: String,
    /// What a worker is asked to do.
    pub task: Task<Bytes>,
    /// Time that the caller waits.
    pub budget: Duration,
    /// The caller named the budget (a gRPC deadline).
    pub callers_own_deadline: bool,
    /// The request's trace.
    pub trace: TraceContext,
}

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SubmitError {
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

/// How a job ended.
pub type SubmitResult = Result<JobResult, SubmitError>;

/// Brings jobs to the workers and their results back.
#[async_trait]
pub trait Submit: Send + Sync {
    /// Gives a job to a worker and waits for its result, at most as long as the job's budget says.
    ///
    /// Dropping the future cancels the job.
    async fn submit(&self, job: JobRequest) -> SubmitResult;

    /// Whether there is a connection to the workers at the moment.
    fn is_connected(&self) -> bool;
}
