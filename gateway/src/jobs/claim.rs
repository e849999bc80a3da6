//! Claim check: small pictures travel in the message, larger ones by way of the blob store.

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::blob::{BlobError, SealedBlobs};
use faceline_shared::job::{Coding, Job, JobId, Match, Picture, Ranking, Reference};
use faceline_shared::liveness::Examination;
use uuid::Uuid;

use super::{SubmittedPicture, SubmittedReference, Task};

/// A blob outlives its job's deadline by this, so that a worker that is late finds it.
const GRACE: Duration = Duration::from_secs(60);

/// Blobs of one job. Dropped, they are deleted.
pub(super) struct Claims {
    blobs: SealedBlobs,
    keys: Vec<String>,
}

impl Claims {
    /// Puts what is too large for a message into the blob store, and makes the job.
    pub(super) async fn check_in(
        blobs: &SealedBlobs,
        inline_limit: usize,
        id: JobId,
        task: &Task,
        budget: Duration,
    ) -> Result<(Self, Job), BlobError> {
        let mut claims = Self { blobs: blobs.clone(), keys: Vec::new() };
        // The limit is on the message, so two pictures share it.
        let inline = stored_bytes(task, inline_limit) == 0;
        let ttl = budget + GRACE;
        // Unique, since a job that is sent again must not lose its blob to the clean-up after its first try.
        let key = |subject: &str| format!("{id}/{subject}/{}", Uuid::new_v4());
        let job = match task {
            Task::Code(picture) => Job::Code(claims.coding(picture, inline, key("image"), ttl).await?),
            Task::Match { reference, candidate } => {
                let reference = match reference {
                    SubmittedReference::Template(embedding) => Reference::Template(embedding.clone()),
                    SubmittedReference::Picture(picture) => {
                        Reference::Picture(claims.coding(picture, inline, key("reference"), ttl).await?)
                    }
                };
                let candidate = claims.coding(candidate, inline, key("candidate"), ttl).await?;
                Job::Match(Box::new(Match { reference, candidate }))
            }
            Task::Rank { reference, candidates } => {
                let (reference, candidates) = (reference.clone(), candidates.clone());
                Job::Rank(Box::new(Ranking { reference, candidates }))
            }
            Task::EstimateAge(picture) => {
                Job::EstimateAge(claims.coding(picture, inline, key("image"), ttl).await?)
            }
            Task::Compress(file) => Job::Compress(claims.picture(file, inline, key("image"), ttl).await?),
            Task::Examine(Examination { live, photo, liveness, challenge }) => {
                let mut pictures = Vec::with_capacity(live.len());
                for file in live {
                    pictures.push(claims.picture(file, inline, key("live"), ttl).await?);
                }
                let photo = match photo {
                    Some(file) => Some(claims.picture(file, inline, key("photo"), ttl).await?),
                    None => None,
                };
                let (live, liveness, challenge) = (pictures, *liveness, challenge.clone());
                Job::Examine(Box::new(Examination { live, photo, liveness, challenge }))
            }
        };
        Ok((claims, job))
    }

    async fn coding(
        &mut self,
        submitted: &SubmittedPicture,
        inline: bool,
        key: String,
        ttl: Duration,
    ) -> Result<Coding, BlobError> {
        let picture = self.picture(&submitted.bytes, inline, key, ttl).await?;
        Ok(Coding { picture, image_type: submitted.image_type, rotate: submitted.rotate })
    }

    async fn picture(
        &mut self,
        file: &Bytes,
        inline: bool,
        key: String,
        ttl: Duration,
    ) -> Result<Picture, BlobError> {
        if inline {
            return Ok(Picture::Inline(file.clone()));
        }
        // Noted before the put: a put that fails late may have left the blob there.
        self.keys.push(key.clone());
        self.blobs.put(&key, file, ttl).await?;
        Ok(Picture::Blob { key })
    }
}

/// Bytes of `task` that go by way of the blob store.
pub(super) fn stored_bytes(task: &Task, inline_limit: usize) -> usize {
    let bytes = task.files().into_iter().map(Bytes::len).sum();
    if bytes <= inline_limit { 0 } else { bytes }
}

impl Drop for Claims {
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

impl Task {
    /// The pictures in it, as received.
    fn files(&self) -> Vec<&Bytes> {
        match self {
            Self::Code(picture) | Self::EstimateAge(picture) => vec![&picture.bytes],
            Self::Match { reference: SubmittedReference::Picture(reference), candidate } => {
                vec![&reference.bytes, &candidate.bytes]
            }
            Self::Match { reference: SubmittedReference::Template(_), candidate } => vec![&candidate.bytes],
            Self::Compress(file) => vec![file],
            Self::Rank { .. } => Vec::new(),
            Self::Examine(examination) => examination.pictures().collect(),
        }
    }
}
