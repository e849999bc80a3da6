//! The interface of the code that does tasks on an inference thread.

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::job::{JobFailure, JobResult, Task};

use crate::inference::InferenceError;
use crate::pipeline::{PipelineFault, Segments};

/// Times of the stages of a job.
#[derive(Clone, Debug, Default)]
pub struct JobTimes {
    /// Decoding and hashing the files.
    pub decode: Duration,
    /// Running the models, with the preparation of their inputs.
    pub infer: Duration,
    /// The same times as intervals with begin and end.
    pub segments: Segments,
}

/// Reason why a task has no result.
#[derive(Debug, thiserror::Error)]
pub enum TaskFault {
    /// The caller learns the reason.
    #[error("{0:?}")]
    Job(JobFailure),
    /// Something that the task needs is unavailable; the job goes back to its queue.
    #[error("{0}")]
    Unavailable(String),
    /// A model failed; its session may be broken.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

impl From<JobFailure> for TaskFault {
    fn from(failure: JobFailure) -> Self {
        Self::Job(failure)
    }
}

/// A task that was run.
#[derive(Debug)]
pub struct TaskRun {
    /// Its result.
    pub result: Result<JobResult, TaskFault>,
    /// Times of its stages. `infer` is above zero only if a model ran.
    pub times: JobTimes,
}

/// Runs tasks on one thread, and owns the sessions of the models for it.
pub trait TaskRunner: Send + 'static {
    /// Runs one task.
    fn run(&mut self, task: &Task<Bytes>) -> TaskRun;

    /// Runs each model that most tasks need once.
    ///
    /// # Errors
    /// [`PipelineFault::Inference`] if a model does not run.
    fn warm_up(&mut self) -> Result<(), PipelineFault>;

    /// Opens the sessions of all models again, and warms them up.
    ///
    /// # Errors
    /// [`PipelineFault::Inference`] if a model does not load or does not run.
    fn reopen(&mut self) -> Result<(), PipelineFault>;
}
