//! Blobs: the bytes of pictures that are too large to travel in a message (claim check).
//!
//! The gateway puts a blob before it publishes the job, and deletes it when the job is over. The TTL removes the blobs of a
//! gateway that died. [`SealedBlobs`] encrypts the blobs before they reach a store.

pub mod embedded;
mod open;
#[cfg(feature = "redis")]
pub mod redis;
mod sealed;
mod store;

pub use self::open::open;
pub use self::sealed::SealedBlobs;
pub use self::store::{BlobError, BlobStore};
