//! The section `blobs`.

use serde::Deserialize;

use super::client_tls::ClientTls;
use super::store::StoreUrl;

/// The store of pictures in transit to a worker.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct BlobSettings {
    /// `embedded:` (standalone program only), or Redis as in `store.url`. If this is not set, it is `store.url`.
    pub url: Option<StoreUrl>,
    /// TLS towards the Redis of `blobs.url`, if its scheme asks for TLS. Without `blobs.url`, `store.tls` applies.
    pub tls: ClientTls,
}
