//! The errors of the file.

use std::io::ErrorKind;

use crate::StoreError;

/// Reason why an operation on the file failed. Unlike redb's error it can be cloned, for each change of a failed
/// commit.
#[derive(Clone, Debug)]
pub(super) enum FileFailure {
    /// The disk is full.
    Full,
    /// Any other failure, as text.
    Broken(String),
}

/// The result of an operation on the tables.
pub(super) type TableResult<T> = Result<T, redb::Error>;

impl From<redb::Error> for FileFailure {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error)
                if matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
                ) =>
            {
                Self::Full
            }
            redb::Error::DatabaseAlreadyOpen => Self::Broken("another process uses its file".into()),
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<FileFailure> for StoreError {
    fn from(failure: FileFailure) -> Self {
        match failure {
            FileFailure::Full => Self::Full,
            FileFailure::Broken(reason) => Self::Broken(reason),
        }
    }
}
