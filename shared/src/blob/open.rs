//! Opens the blob store that the settings name.

use std::sync::Arc;

use super::embedded::EmbeddedBlobs;
#[cfg(feature = "redis")]
use super::redis::RedisBlobs;
use super::store::{BlobError, BlobStore};

/// Most bytes that the store of a single process holds.
const MAX_EMBEDDED_BYTES: usize = 512 << 20;

/// Opens the store at `url`: `embedded:`, `redis://…` or `rediss://…`. The first use opens the connection to a server.
///
/// # Errors
/// [`BlobError::Url`].
pub fn open(url: &str) -> Result<Arc<dyn BlobStore>, BlobError> {
    match url.split_once(':') {
        Some(("embedded", _)) => Ok(Arc::new(EmbeddedBlobs::new(MAX_EMBEDDED_BYTES))),
        #[cfg(feature = "redis")]
        Some(("redis" | "rediss", _)) => Ok(Arc::new(RedisBlobs::new(url)?)),
        _ => Err(BlobError::Url("expected embedded:, redis://… or rediss://…".into())),
    }
}
