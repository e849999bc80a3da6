//! Objects: files that live as long as their session or their retention, in a folder or in a bucket.
//!
//! No store here deletes anything by itself: the outbox deletes objects. [`SealedObjects`] encrypts objects before they reach a
//! store.

mod error;
pub mod folder;
mod key;
mod open;
mod place;
#[cfg(feature = "s3")]
pub mod s3;
mod sealed;
mod store;
mod stream;

pub use self::error::ObjectError;
pub use self::open::open;
pub use self::place::ObjectPlace;
pub use self::sealed::SealedObjects;
pub use self::store::{ObjectStore, ObjectUpload};
pub use self::stream::ObjectStream;
