//! What a worker does with a job, apart from how jobs come and answers go.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::job::{Outcome, Task};

/// Where the time of a job went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Decoding and digesting the files.
    pub decode: Duration,
    /// Running the models, and what belongs to it.
    pub infer: Duration,
}

/// Does what jobs ask for.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Jobs that it takes at the same time.
    fn slots(&self) -> usize;

    /// Does a task. Called with at most [`Handler::slots`] jobs at a time.
    async fn handle(&self, task: Task<Bytes>) -> (Outcome, Times);
}
