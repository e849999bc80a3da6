//! The port of blob stores.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::seal::SealError;

/// Error of an operation of a blob store.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The address cannot be parsed.
    #[error("blobs.url is not usable: {0}")]
    Url(String),
    /// The files for TLS cannot be used.
    #[error("TLS to the blob store is not usable: {0}")]
    Tls(String),
    /// The store does not answer, or not in time.
    #[error("the blob store does not answer: {0}")]
    Unreachable(String),
    /// The store is full.
    #[error("the blob store is full")]
    Full,
    /// The server at the address cannot be the blob store: it refuses the credentials, or is no store.
    #[error("this server cannot be the blob store: {0}")]
    Unfit(String),
    /// The server is configured to evict keys when its memory is full; this is its policy.
    #[error("the blob store's maxmemory-policy is `{0}`; it must be `noeviction`")]
    Evicts(String),
    /// The blob cannot be sealed, or does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl BlobError {
    /// Whether this instance is misconfigured, as opposed to a store that is unavailable or full for all instances.
    #[must_use]
    pub fn is_misconfiguration(&self) -> bool {
        match self {
            Self::Url(_) | Self::Tls(_) | Self::Unfit(_) | Self::Evicts(_) | Self::Seal(_) => true,
            Self::Unreachable(_) | Self::Full => false,
        }
    }
}

/// A store of blobs.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes` under `key` for `ttl`, and replaces an existing blob.
    ///
    /// # Errors
    /// [`BlobError::Unreachable`], [`BlobError::Full`].
    async fn put(&self, key: &str, bytes: Bytes, ttl: Duration) -> Result<(), BlobError>;

    /// Returns the bytes under `key`; `None` if there are none or they have expired.
    ///
    /// # Errors
    /// [`BlobError::Unreachable`].
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError>;

    /// Deletes the blob under `key`, if there is one.
    ///
    /// # Errors
    /// [`BlobError::Unreachable`].
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// Checks that the store answers, takes blobs and never evicts one before it expires.
    ///
    /// # Errors
    /// [`BlobError::Unreachable`], [`BlobError::Full`]; [`BlobError::Unfit`] if the server is no blob store;
    /// [`BlobError::Evicts`] if the eviction policy is not `noeviction`.
    async fn check(&self) -> Result<(), BlobError>;
}
