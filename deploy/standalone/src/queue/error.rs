//! Errors of commands about queues.

use std::io;

use faceline_shared::broker::BrokerError;

use crate::management::ManagementError;

/// Reasons why a command fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    /// The broker cannot be used.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The management API cannot be used.
    #[error("{0}; correct broker.management_url, or leave it out")]
    Management(#[from] ManagementError),
    /// A named job has no dead letter.
    #[error("there is no dead letter of the job {0}")]
    Unknown(uuid::Uuid),
    /// Some letters were not published again; the output says why.
    #[error("{0} dead letters were not published again")]
    Incomplete(usize),
    /// The output cannot be written, or threads cannot be started.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// JSON cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}
