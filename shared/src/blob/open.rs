//! Opens the blob store that the settings name.

use std::sync::Arc;

use super::embedded::EmbeddedBlobs;
#[cfg(feature = "redis")]
use super::redis::RedisBlobs;
use super::store::{BlobError, BlobStore};
use crate::settings::{ClientTls, StoreUrl};

/// Maximum number of bytes that the store of a single process holds.
const MAX_EMBEDDED_BYTES: usize = 512 << 20;

/// Opens the store at `url`. The first use opens the connection to a server, with TLS as in `tls` where `url` asks for it.
///
/// # Errors
/// [`BlobError::Url`] if the address cannot be parsed, or this program is built without Redis; [`BlobError::Tls`] if
/// the files for TLS cannot be used.
#[cfg_attr(not(feature = "redis"), expect(unused_variables, reason = "only Redis speaks TLS"))]
pub fn open(url: &StoreUrl, tls: &ClientTls) -> Result<Arc<dyn BlobStore>, BlobError> {
    match url {
        StoreUrl::Embedded => Ok(Arc::new(EmbeddedBlobs::new(MAX_EMBEDDED_BYTES))),
        #[cfg(feature = "redis")]
        StoreUrl::Redis(url) => Ok(Arc::new(RedisBlobs::new(url, tls)?)),
        #[cfg(not(feature = "redis"))]
        StoreUrl::Redis(_) => Err(BlobError::Url("this program is built without Redis".into())),
    }
}
