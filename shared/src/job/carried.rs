//! How pictures travel from a gateway to a worker.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A picture on its way. Large ones travel as a claim check: their bytes are in the blob store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum CarriedPicture {
    /// In this message.
    Inline(Bytes),
    /// In the blob store, sealed (claim check).
    Blob {
        /// Key in the store.
        key: String,
    },
}
