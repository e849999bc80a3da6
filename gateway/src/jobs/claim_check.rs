//! Claim check: a small picture travels in the message; a large one goes to the blob store, and the message carries its
//! key.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use faceline_shared::blob::{BlobError, SealedBlobs};
use faceline_shared::job::{CarriedPicture, JobId, Task};
use uuid::Uuid;

/// A blob outlives its job's deadline by this time, so a worker that is late still finds it.
const BLOB_GRACE: Duration = Duration::from_secs(60);

/// The blobs of one job. Dropping this deletes them in the background.
pub(super) struct ClaimCheck {
    blobs: SealedBlobs,
    /// Keys of the blobs that may be in the store.
    keys: Mutex<Vec<String>>,
}

impl ClaimCheck {
    /// Moves the pictures of `task` into the blob store if they are too large for a message.
    ///
    /// # Errors
    /// The blob store is unreachable or refuses a picture.
    pub(super) async fn check_in(
        blobs: &SealedBlobs,
        inline_limit: usize,
        id: JobId,
        task: &Task<Bytes>,
        budget: Duration,
    ) -> Result<(Self, Task<CarriedPicture>), BlobError> {
        let claims = Self { blobs: blobs.clone(), keys: Mutex::default() };
        let task = task.clone();
        // `inline_limit` bounds the message, so all pictures of a task share it.
        if stored_bytes(&task, inline_limit) == 0 {
            return Ok((claims, task.map(|_, picture| CarriedPicture::Inline(picture))));
        }
        let ttl = budget + BLOB_GRACE;
        let put = task.map(|subject, picture| {
            // Unique per attempt: the clean-up after a first attempt must not delete the blob of the second.
            let key = format!("{id}/{}/{}", subject.as_str(), Uuid::new_v4());
            let keys = &claims.keys;
            async move {
                // Recorded before the put: a put that fails may still have stored the blob.
                keys.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
                blobs.put(&key, &picture, ttl).await?;
                Ok::<_, BlobError>(CarriedPicture::Blob { key })
            }
        });
        let carried = put.resolve().await?;
        Ok((claims, carried))
    }
}

/// Bytes of `task` that go to the blob store: all or none.
pub(super) fn stored_bytes(task: &Task<Bytes>, inline_limit: usize) -> usize {
    let bytes = task.pictures().into_iter().map(Bytes::len).sum();
    if bytes <= inline_limit { 0 } else { bytes }
}

impl Drop for ClaimCheck {
    fn drop(&mut self) {
        let keys = std::mem::take(self.keys.get_mut().unwrap_or_else(PoisonError::into_inner));
        if keys.is_empty() {
            return;
        }
        let blobs = self.blobs.clone();
        tokio::spawn(async move {
            for key in keys {
                if let Err(error) = blobs.delete(&key).await {
                    tracing::warn!(%error, key, "a blob could not be deleted; it expires by itself");
                }
            }
        });
    }
}
