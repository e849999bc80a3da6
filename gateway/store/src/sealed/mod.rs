//! The sealing layers of the stores: they accept and return records, and encrypt them for the underlying store.
//!
//! A record is MessagePack, sealed with the key ring of the installation. Its associated data is
//! its place in the store, so a record that was copied to another place does not open.

mod error;
mod idempotency;
mod outbox;
mod sealer;
mod sessions;
mod stores;

pub use self::error::RecordError;
pub use self::idempotency::SealedIdempotency;
pub use self::outbox::{OpenedListedRow, OpenedRow, SealedOutbox, UnsealedRow};
pub use self::sessions::{OpenedReplay, SealedSessions, UnsealedChange};
pub use self::stores::SealedStores;
