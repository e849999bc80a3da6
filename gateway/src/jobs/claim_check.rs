//! Claim check: small pictures travel in the message, larger ones by way of the blob store.

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::blob::{BlobError, SealedBlobs};
use faceline_shared::job::{CarriedPicture, JobId, Task};
use uuid::Uuid;

/// A blob outlives its job's deadline by this, so that a worker that is late finds it.
const GRACE: Duration = Duration::from_secs(60);

/// Blobs of one job. Dropped, they are deleted.
pub(super) struct ClaimCheck {
    blobs: SealedBlobs,
    keys: Vec<String>,
}

impl ClaimCheck {
    /// Puts the pictures of `task` into the blob store where they are too large for a message.
    pub(super) async fn check_in(
        blobs: &SealedBlobs,
        inline_limit: usize,
        id: JobId,
        task: &Task<Bytes>,
        budget: Duration,
    ) -> Result<(Self, Task<CarriedPicture>), BlobError> {
        let mut claims = Self { blobs: blobs.clone(), keys: Vec::new() };
        let task = task.clone();
        // The limit is on the message, so two pictures share it.
        if stored_bytes(&task, inline_limit) == 0 {
            return Ok((claims, task.map(|_, picture| CarriedPicture::Inline(picture))));
        }
        let ttl = budget + GRACE;
        let put = task.map(|subject, picture| {
            // Unique, since a job that is sent again must not lose its blob to the clean-up after its first attempt.
            let key = format!("{id}/{}/{}", subject.as_str(), Uuid::new_v4());
            // Noted before the put: a put that fails late may have left the blob there.
            claims.keys.push(key.clone());
            async move {
                blobs.put(&key, &picture, ttl).await?;
                Ok::<_, BlobError>(CarriedPicture::Blob { key })
            }
        });
        let carried = put.resolve().await?;
        Ok((claims, carried))
    }
}

/// Bytes of `task` that travel by way of the blob store.
pub(super) fn stored_bytes(task: &Task<Bytes>, inline_limit: usize) -> usize {
    let bytes = task.pictures().into_iter().map(Bytes::len).sum();
    if bytes <= inline_limit { 0 } else { bytes }
}

impl Drop for ClaimCheck {
    fn drop(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        if keys.is_empty() {
            return;
        }
        let blobs = self.blobs.clone();
        tokio::spawn(async move {
            for key in keys {
                if let Err(error) = blobs.delete(&key).await {
                    tracing::warn!(%error, key, "a blob stays until its time is over");
                }
            }
        });
    }
}
