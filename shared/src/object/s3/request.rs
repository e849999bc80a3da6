//! Requests with a time limit, and their errors.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use object_store::Error;

use crate::object::error::ObjectError;

/// Time limit of an operation, retries included.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(12);

/// Runs `operation` with a time limit; `None` if the object does not exist.
pub(super) async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, ObjectError> {
    match tokio::time::timeout(limit, operation).await {
        Err(_) => Err(ObjectError::Unreachable(format!("no answer within {} s", limit.as_secs()))),
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if is_missing_object(&error) => Ok(None),
        Ok(Err(error)) => Err(ObjectError::Unreachable(message_with_causes(&error))),
    }
}

/// Runs a write as [`within`] does. If a write ends with "not found", the bucket is missing, or somebody has aborted the upload.
pub(super) async fn write<T>(operation: impl Future<Output = Result<T, Error>>) -> Result<T, ObjectError> {
    let written = within(OPERATION_TIMEOUT, operation).await?;
    written.ok_or_else(|| ObjectError::Unreachable("the bucket or the upload is not there".into()))
}

/// Whether the object is missing. A missing bucket has the same status, but is an error.
fn is_missing_object(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && !message_with_causes(error).contains("NoSuchBucket")
}

/// The messages of an error and of its causes, which the library's own message leaves out.
fn message_with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = cause.source();
    }
    text
}
