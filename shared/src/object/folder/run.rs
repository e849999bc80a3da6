//! Runs blocking disk operations with a time limit.

use std::io;
use std::time::Duration;

use crate::object::error::ObjectError;

/// Time limit of an operation; the folder may be on another machine.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs `operation` on a thread that may block, and returns its result. After the time limit it continues there in the
/// background.
pub(super) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ObjectError> {
    let running = tokio::task::spawn_blocking(operation);
    let unreachable = |text: String| ObjectError::Unreachable(text);
    match tokio::time::timeout(OPERATION_TIMEOUT, running).await {
        Err(_) => Err(unreachable(format!("no answer within {} s", OPERATION_TIMEOUT.as_secs()))),
        Ok(Err(panicked)) => Err(unreachable(panicked.to_string())),
        Ok(Ok(done)) => done.map_err(|error| unreachable(error.to_string())),
    }
}
