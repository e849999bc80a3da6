//! The section `blobs`.

use serde::Deserialize;

use super::client_tls::ClientTls;
use super::store::StoreUrl;

/// The store of pictures on their way to a worker.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct BlobSettings {
    /// `embedded:` (standalone program only), or Redis as in `store.url`. If this is not set, it is `store.url`.
    pub url: Option<StoreUrl>,
    /// TLS towards the blob store's Redis, where `blobs.url` asks for it. Without `blobs.url`, `store.tls` counts.
    pub tls: ClientTls,
}
