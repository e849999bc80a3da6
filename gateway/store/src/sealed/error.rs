//! The error of sealed records.

use faceline_shared::seal::SealError;

use crate::StoreError;

/// Reason why a record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record does not open: its key was removed from the ring, it was changed, or it was copied from another place.
    #[error("a record of the session store does not open: {0}")]
    Seal(#[from] SealError),
    /// The record opens but does not have the form that this build reads.
    #[error("a record of the session store is not of the form: {0}")]
    Form(#[from] rmp_serde::decode::Error),
    /// The record cannot be encoded.
    #[error("a record cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}
