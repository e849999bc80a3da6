//! The blob store of a single process: a bounded number of bytes in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::store::{BlobError, BlobStore};

/// Blobs in memory, up to a maximum of bytes.
pub struct EmbeddedBlobs {
    blobs: Mutex<Blobs>,
}

struct Blob {
    bytes: Bytes,
    expires_at: Instant,
}

struct Blobs {
    max_bytes: usize,
    bytes: usize,
    by_key: HashMap<String, Blob>,
    by_expiry: BTreeSet<(Instant, String)>,
}

impl Blobs {
    fn remove(&mut self, key: &str) {
        if let Some((key, blob)) = self.by_key.remove_entry(key) {
            self.bytes -= blob.bytes.len();
            self.by_expiry.remove(&(blob.expires_at, key));
        }
    }

    fn remove_expired(&mut self, now: Instant) {
        while let Some((expires_at, key)) = self.by_expiry.first()
            && *expires_at <= now
        {
            let key = key.clone();
            self.remove(&key);
        }
    }

    fn put(&mut self, key: &str, blob: Blob) -> Result<(), BlobError> {
        let replaced = self.by_key.get(key).map_or(0, |blob| blob.bytes.len());
        if self.bytes - replaced + blob.bytes.len() > self.max_bytes {
            return Err(BlobError::Full);
        }
        self.remove(key);
        self.bytes += blob.bytes.len();
        self.by_expiry.insert((blob.expires_at, key.to_owned()));
        self.by_key.insert(key.to_owned(), blob);
        Ok(())
    }
}

impl EmbeddedBlobs {
    /// An empty store that holds at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let blobs = Blobs { max_bytes, bytes: 0, by_key: HashMap::new(), by_expiry: BTreeSet::new() };
        Self { blobs: Mutex::new(blobs) }
    }

    /// Removes the blobs whose TTL is over and returns the others.
    fn live_blobs(&self) -> MutexGuard<'_, Blobs> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.remove_expired(Instant::now());
        blobs
    }
}

#[async_trait]
impl BlobStore for EmbeddedBlobs {
    async fn put(&self, key: &str, bytes: Bytes, ttl: Duration) -> Result<(), BlobError> {
        let expires_at = Instant::now() + ttl;
        self.live_blobs().put(key, Blob { bytes, expires_at })
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        Ok(self.live_blobs().by_key.get(key).map(|blob| blob.bytes.clone()))
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.live_blobs().remove(key);
        Ok(())
    }

    async fn check(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_blob_that_expired_makes_room() {
        let store = EmbeddedBlobs::new(10);
        store.put("a", Bytes::from_static(b"12345678"), MINUTE).await.unwrap();
        let second = Bytes::from_static(b"abcdefgh");
        assert!(matches!(store.put("b", second.clone(), MINUTE).await, Err(BlobError::Full)));

        tokio::time::advance(MINUTE).await;
        store.put("b", second, MINUTE).await.unwrap();
        assert_eq!(store.live_blobs().bytes, 8);
    }

    #[tokio::test]
    async fn what_is_replaced_does_not_count_twice() {
        let store = EmbeddedBlobs::new(10);
        for _ in 0..3 {
            store.put("a", Bytes::from_static(b"12345678"), MINUTE).await.unwrap();
        }
        let blobs = store.live_blobs();
        assert_eq!((blobs.bytes, blobs.by_key.len(), blobs.by_expiry.len()), (8, 1, 1));
    }
}
