//! Encryption of blobs in front of a blob store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::store::{BlobError, BlobStore};
use crate::seal::{KeyRing, Purpose};

/// Seals blobs on their way into a store, and opens them on their way out.
#[derive(Clone)]
pub struct SealedBlobs {
    store: Arc<dyn BlobStore>,
    ring: KeyRing,
}

impl SealedBlobs {
    /// Wraps `store`, and seals with `ring`.
    #[must_use]
    pub fn new(store: Arc<dyn BlobStore>, ring: KeyRing) -> Self {
        Self { store, ring }
    }

    /// Seals `plain` and keeps it.
    ///
    /// # Errors
    /// Those of [`BlobStore::put`], and [`BlobError::Seal`] if sealing fails.
    pub async fn put(&self, key: &str, plain: &[u8], ttl: Duration) -> Result<(), BlobError> {
        let sealed = self.ring.seal(Purpose::Blob, key.as_bytes(), plain)?;
        self.store.put(key, sealed.into(), ttl).await
    }

    /// Fetches and opens the bytes under `key`.
    ///
    /// # Errors
    /// Those of [`BlobStore::get`], and [`BlobError::Seal`] if the bytes were changed or sealed for another key.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        match self.store.get(key).await? {
            Some(sealed) => Ok(Some(self.ring.open_bytes(Purpose::Blob, key.as_bytes(), sealed)?)),
            None => Ok(None),
        }
    }

    /// Deletes the blob under `key`, if there is one.
    ///
    /// # Errors
    /// Those of [`BlobStore::delete`].
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.store.delete(key).await
    }

    /// Checks the store, as [`BlobStore::check`] does.
    ///
    /// # Errors
    /// Those of [`BlobStore::check`].
    pub async fn check(&self) -> Result<(), BlobError> {
        self.store.check().await
    }
}
