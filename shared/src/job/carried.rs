//! Representation of a picture on its way from a gateway to a worker.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A picture in a message, or a claim check for one in the blob store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum CarriedPicture {
    /// The picture's bytes are in the message.
    Inline(Bytes),
    /// The picture's bytes are in the blob store, sealed (claim check).
    Blob {
        /// Key in the blob store.
        key: String,
    },
}
