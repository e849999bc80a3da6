//! Fetches a video from the object store, and decrypts it into memory.

use std::io::Write as _;
use std::time::{Duration, Instant};

use faceline_shared::job::replay::{EncryptedMedia, ReplayError};
use faceline_shared::object::{ObjectError, ObjectStore};
use faceline_shared::replay::media::MediaOpener;
use faceline_shared::retry::Backoff;
use futures_util::TryStreamExt as _;

use crate::video::MemoryFile;

/// Time for which an unavailable object store is tried again, before the job goes back to its queue.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Reason why there is no video.
#[derive(Debug, thiserror::Error)]
pub(super) enum MediaFault {
    /// It cannot be judged, ever.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// It cannot be fetched now.
    #[error("a video cannot be fetched: {0}")]
    Unavailable(String),
}

/// The decrypted video. All of it is authentic, since its last chunk is.
///
/// # Errors
/// [`MediaFault::Unavailable`] if the object store stays unavailable for 30 s or this system has no memory;
/// [`MediaFault::Replay`] if the object is gone, or does not open.
pub(super) async fn fetch(
    objects: &dyn ObjectStore,
    media: &EncryptedMedia,
) -> Result<MemoryFile, MediaFault> {
    let started = Instant::now();
    let mut retries = Backoff::REQUEST.retries();
    loop {
        match fetch_once(objects, media).await {
            Err(MediaFault::Unavailable(reason)) if started.elapsed() < FETCH_TIMEOUT => {
                tracing::warn!(reason, object = media.object, "a video cannot be fetched; trying again");
                retries.wait().await;
            }
            done => return done,
        }
    }
}

async fn fetch_once(objects: &dyn ObjectStore, media: &EncryptedMedia) -> Result<MemoryFile, MediaFault> {
    let Some(mut object) = objects.open(&media.object).await? else {
        return Err(ReplayError::Lost.into());
    };
    if object.length() != media.length {
        tracing::error!(object = media.object, "an object has another length than was uploaded");
        return Err(ReplayError::Undecryptable.into());
    }
    let mut opener = MediaOpener::new(media).map_err(|_| ReplayError::Internal)?;
    let mut video = MemoryFile::writer(media.length)?;
    let mut plain = Vec::new();
    while let Some(piece) = object.try_next().await? {
        opener.open(&piece, &mut plain).map_err(|_| ReplayError::Undecryptable)?;
        video.write_all(&plain)?;
        plain.clear();
    }
    opener.finish(&mut plain).map_err(|_| ReplayError::Undecryptable)?;
    video.write_all(&plain)?;
    Ok(video.seal()?)
}

impl From<ObjectError> for MediaFault {
    fn from(error: ObjectError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<std::io::Error> for MediaFault {
    /// Converts an error of the memory that holds the video.
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
