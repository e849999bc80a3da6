//! The store of a single process: one redb file.
//!
//! **Writing.** One thread writes. Changes that wait at the same time share a transaction and its fsync. Each change is
//! answered only after that commit, so an answered change survives `kill -9`. Reads run beside it on the last commit.
//!
//! **Time** is the computer's time when the process started plus the time that has passed since. Every read compares a
//! session's end with that clock. The writer removes ended sessions from the file, in the order of their ends.
//!
//! **Failures.** A change that fails because of a full disk or another disk error is not made. The one exception is
//! an error at the end of the commit, after which the whole change may be made without an answer. The file is then
//! opened again, so the store works again as soon as the disk does. A second process cannot open the file.

mod clock;
mod failure;
mod file;
mod idempotency;
mod outbox;
mod sessions;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use self::store::EmbeddedStore;
