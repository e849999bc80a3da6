//! The error of object stores.

use crate::seal::SealError;

/// Error of an operation of an object store.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The address cannot be parsed.
    #[error("objects.url is not usable: {0}")]
    Url(String),
    /// The store does not answer in time, or refuses access.
    #[error("the object store does not answer: {0}")]
    Unreachable(String),
    /// The key is not allowed.
    #[error("`{0}` is no key of an object")]
    Key(String),
    /// The object cannot be sealed, or does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}
