//! Objects: pictures that are kept as long as their session, in a folder or in a bucket.
//!
//! No store here ends anything by itself; what has to go is deleted by way of the outbox.

use async_trait::async_trait;
use bytes::Bytes;

/// Why an object store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The address cannot be understood.
    #[error("objects.url is not usable: {0}")]
    Url(String),
    /// The store does not answer, not in time, or does not let us in.
    #[error("the object store does not answer: {0}")]
    Unreachable(String),
}

/// The port. Keys are paths of `/`-separated segments of ASCII letters, digits, `-`, `_` and `.`.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps `bytes` under `key`, durably; an existing object is replaced, and no reader ever sees half of one.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// The bytes under `key`; `None` where there are none.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// Forgets `key`; nothing happens where it is not there.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Forgets everything below `prefix`, which names a folder (`a/b` does not reach `a/bc`), and says how many objects
    /// that were.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// What is wrong.
    async fn check(&self) -> Result<(), ObjectError>;
}
