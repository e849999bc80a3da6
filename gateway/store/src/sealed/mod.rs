//! The sealing fronts of the stores: they take and return records, and encrypt them for the store below.
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
pub use self::outbox::{OpenedRow, SealedOutbox, UnsealedRow};
pub use self::sessions::{OpenedReplay, SealedSessions, UnsealedChange};
pub use self::stores::SealedStores;
