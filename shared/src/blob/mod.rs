//! Blobs: the bytes of pictures that are too large to travel in a message (claim check).
//!
//! The gateway puts a blob before it publishes the job and deletes it when the job is over; the TTL is for
//! gateways that die. What a store holds is sealed by [`SealedBlobs`].

pub mod embedded;
#[cfg(feature = "redis")]
pub mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::seal::{KeyRing, Purpose, SealError};
use crate::settings::StoreUrl;

/// Why a blob store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The address cannot be understood.
    #[error("blobs.url is not usable: {0}")]
    Url(String),
    /// The store does not answer, or not in time.
    #[error("the blob store does not answer: {0}")]
    Unreachable(String),
    /// The store has no room.
    #[error("the blob store is full")]
    Full,
    /// The store throws blobs away when it is full.
    #[error("the blob store's maxmemory-policy is `{0}`; it must be `noeviction`")]
    Evicts(String),
    /// The bytes do not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Bytes that the store of a single process holds.
const EMBEDDED_BYTES: usize = 512 << 20;

/// The store at `url`. It connects when it is first used.
///
/// # Errors
/// [`BlobError::Url`] if the address cannot be understood, or this program is built without Redis.
pub fn open(url: &StoreUrl) -> Result<Arc<dyn BlobStore>, BlobError> {
    match url {
        StoreUrl::Embedded => Ok(Arc::new(embedded::EmbeddedBlobs::new(EMBEDDED_BYTES))),
        #[cfg(feature = "redis")]
        StoreUrl::Redis(url) => Ok(Arc::new(redis::RedisBlobs::new(url)?)),
        #[cfg(not(feature = "redis"))]
        StoreUrl::Redis(_) => Err(BlobError::Url("this program is built without Redis".into())),
    }
}

/// The port.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes` under `key` for `ttl`; an existing blob is replaced.
    ///
    /// # Errors
    /// Unreachable or full.
    async fn put(&self, key: &str, bytes: Bytes, ttl: Duration) -> Result<(), BlobError>;

    /// The bytes under `key`; `None` where there are none or their time is over.
    ///
    /// # Errors
    /// Unreachable.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError>;

    /// Forgets `key`; nothing happens where it is not there.
    ///
    /// # Errors
    /// Unreachable.
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// Whether the store answers and is set up so that it never throws a blob away on its own.
    ///
    /// # Errors
    /// What is wrong.
    async fn check(&self) -> Result<(), BlobError>;
}

/// Seals what goes into a store and opens what comes out.
#[derive(Clone)]
pub struct SealedBlobs {
    store: Arc<dyn BlobStore>,
    ring: KeyRing,
}

impl SealedBlobs {
    /// A sealing front of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn BlobStore>, ring: KeyRing) -> Self {
        Self { store, ring }
    }

    /// Seals and keeps `plain`.
    ///
    /// # Errors
    /// As [`BlobStore::put`].
    pub async fn put(&self, key: &str, plain: &[u8], ttl: Duration) -> Result<(), BlobError> {
        let sealed = self.ring.seal(Purpose::Blob, key.as_bytes(), plain)?;
        self.store.put(key, sealed.into(), ttl).await
    }

    /// Fetches and opens the bytes under `key`.
    ///
    /// # Errors
    /// As [`BlobStore::get`]; also bytes that were sealed for another key or changed.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        match self.store.get(key).await? {
            Some(sealed) => Ok(Some(self.ring.open_bytes(Purpose::Blob, key.as_bytes(), sealed)?)),
            None => Ok(None),
        }
    }

    /// Forgets `key`.
    ///
    /// # Errors
    /// As [`BlobStore::delete`].
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.store.delete(key).await
    }

    /// As [`BlobStore::check`].
    ///
    /// # Errors
    /// As [`BlobStore::check`].
    pub async fn check(&self) -> Result<(), BlobError> {
        self.store.check().await
    }
}
