//! The port of object stores.

use async_trait::async_trait;
use bytes::Bytes;

use crate::seal::SealError;

/// Why an operation of an object store failed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The address cannot be understood.
    #[error("objects.url is not usable: {0}")]
    Url(String),
    /// The store does not answer, not in time, or refuses access.
    #[error("the object store does not answer: {0}")]
    Unreachable(String),
    /// The key is not allowed.
    #[error("`{0}` is no key of an object")]
    Key(String),
    /// The object cannot be sealed, or does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A store of objects. Keys are paths of `/`-separated segments of ASCII letters, digits, `-`, `_` and `.`.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps `bytes` under `key` durably, and replaces an existing object. No reader ever gets a part of an object.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// Returns the bytes under `key`; `None` if there is no object.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// Deletes the object under `key`, if there is one.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Deletes all objects below the folder `prefix` (`a/b` does not match `a/bc`), and returns their number.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError>;

    /// Lists the keys of all objects below the folder `prefix`, sorted.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Lists the names of the folders in the folder `prefix`, sorted.
    ///
    /// # Errors
    /// [`ObjectError::Key`], [`ObjectError::Unreachable`].
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Checks that the store answers and grants access.
    ///
    /// # Errors
    /// [`ObjectError::Unreachable`].
    async fn check(&self) -> Result<(), ObjectError>;
}
