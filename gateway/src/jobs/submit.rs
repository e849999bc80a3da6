//! The port to the workers: submit a job and wait for its result.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::job::{JobFailure, JobId, JobResult, Task};
use faceline_shared::telemetry::TraceContext;

use crate::fault::{BusyCause, Fault};

/// A task with its owner and its deadline.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// The job's id, which log lines carry too.
    pub id: JobId,
    /// The client that the job belongs to.
    pub client: String,
    /// The task for a worker.
    pub task: Task<Bytes>,
    /// Time that the caller waits for the result.
    pub budget: Duration,
    /// Whether the caller set the budget (a gRPC deadline) rather than the configuration.
    pub callers_own_deadline: bool,
    /// The request's trace.
    pub trace: TraceContext,
}

/// Reason why a job has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// The deadline passed while a worker had the job, or something failed internally.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The job cannot be taken now; admission adds when to retry.
    #[error("{0:?}")]
    Busy(BusyCause),
    /// A worker answered that the task cannot be done. Each API family has its own message for that.
    #[error(transparent)]
    Failed(#[from] JobFailure),
}

/// The result of a job, or the reason why it has none.
pub type SubmitResult = Result<JobResult, SubmitError>;

/// Submits jobs to the workers.
#[async_trait]
pub trait Submit: Send + Sync {
    /// Submits a job and waits for its result, at most for the job's budget.
    ///
    /// Dropping the future cancels the job.
    ///
    /// # Errors
    /// See the variants of [`SubmitError`].
    async fn submit(&self, job: JobRequest) -> SubmitResult;

    /// Returns whether the broker is connected and the reply queue is open.
    fn is_connected(&self) -> bool;

    /// Returns why no job can be published now; `None` if jobs can be published.
    fn outage(&self) -> Option<BusyCause> {
        (!self.is_connected()).then_some(BusyCause::BrokerUnreachable)
    }
}
