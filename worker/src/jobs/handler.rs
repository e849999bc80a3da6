//! The interface of a handler, which does the tasks of jobs for a consumer.

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::job::{Outcome, Task};

use super::availability::Availability;
use super::task_runner::JobTimes;

/// A task was not done. The job must go back to its queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// No model runs at present.
    #[error("no model runs at present")]
    Models,
    /// Something else that the task needs is unavailable, and remained so while the handler waited for it.
    #[error("what the task needs is away")]
    Services,
}

/// Does the tasks of jobs.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Number of tasks that it does at the same time.
    fn slots(&self) -> usize;

    /// Whether it can do tasks. A consumer takes no jobs while it cannot.
    fn availability(&self) -> Availability {
        Availability::always()
    }

    /// Does a task. The consumer calls it for at most [`Handler::slots`] tasks at a time.
    ///
    /// # Errors
    /// [`Unavailable`] if the task was not done and another worker should do it.
    async fn handle(&self, task: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable>;
}
