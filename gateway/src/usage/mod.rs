//! Usage records, by which callers are billed: one for each answer to an authenticated caller, except 403, 429 and 503.
//!
//! A record is written to the outbox before its answer is sent, so every answer has a record even if the gateway dies
//! afterwards. [`Mover`] moves records in batches from the outbox to the object store: one object holds the records of some
//! seconds of a day. A gateway that dies in between may leave a record in two objects; the export recognises the copy by its
//! id.
//!
//! If the store does not take a record in time, the gateway writes the record to a file of this machine (`spill/`)
//! and sends the answer anyway. While the store is unavailable, all records go to such files, and one task retries
//! the store (`redelivery.rs`). The files survive the process.

mod command;
mod export;
mod metrics;
mod mover;
mod output;
mod record;
mod recorder;
mod redelivery;
mod spill;
mod storage;

pub use self::command::{UsageCommand, UsageCommandError};
pub use self::mover::Mover;
pub use self::record::UsageRecord;
pub use self::recorder::Usage;
