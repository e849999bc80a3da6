//! Opening a job's task and fetching its pictures.

use bytes::Bytes;
use faceline_shared::blob::SealedBlobs;
use faceline_shared::job::{CarriedPicture, JobEnvelope, JobFailure, Task};
use faceline_shared::seal::KeyRing;

/// Opens tasks and fetches their pictures from the blob store.
pub(super) struct TaskFetcher {
    pub(super) blobs: SealedBlobs,
    pub(super) keys: KeyRing,
}

impl TaskFetcher {
    /// The envelope's task with the bytes of its pictures.
    ///
    /// # Errors
    /// [`JobFailure::Internal`] if the envelope cannot be opened, [`JobFailure::BlobLost`] if the store does not have a
    /// picture.
    pub(super) async fn fetch(&self, envelope: &JobEnvelope) -> Result<Task<Bytes>, JobFailure> {
        let task = envelope.open(&self.keys).map_err(|error| {
            tracing::error!(%error, "a job does not open; do gateway and worker share their keys?");
            JobFailure::Internal
        })?;
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
