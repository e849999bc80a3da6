//! Fetching the pictures of a task.

use bytes::Bytes;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::job::{CarriedPicture, JobFailure, Task};

/// Fetches the pictures of tasks from the blob store.
pub(super) struct TaskFetcher {
    pub(super) blobs: SealedBlobs,
}

impl TaskFetcher {
    /// The task with the bytes of its pictures.
    ///
    /// # Errors
    /// [`JobFailure::BlobLost`] if the store does not have a picture.
    pub(super) async fn fetch(&self, task: Task<CarriedPicture>) -> Result<Task<Bytes>, JobFailure> {
        task.map(|_, picture| self.bytes(picture)).resolve().await
    }

    async fn bytes(&self, picture: CarriedPicture) -> Result<Bytes, JobFailure> {
        match picture {
            CarriedPicture::Inline(bytes) => Ok(bytes),
            CarriedPicture::Blob { key } => match self.blobs.get(&key).await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(JobFailure::BlobLost),
                Err(error) => {
                    tracing::error!(%error, "a picture cannot be fetched");
                    Err(JobFailure::BlobLost)
                }
            },
        }
    }
}
