//! The replay of a session in a store.

use std::time::Duration;

use bytes::Bytes;

use crate::outbox::{Lane, NewRow};

/// A replay as a store holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredReplay {
    /// Number of changes of the session's replay, from 1.
    pub revision: u64,
    /// The record.
    pub body: Bytes,
    /// Remaining time for the upload, by the store's clock; zero when it is over.
    pub upload_left: Duration,
    /// Remaining time of the lease of an upload in progress; zero if there is none.
    pub lease_left: Duration,
}

/// A change of a session's replay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplayChange {
    /// The revision on which the change is based; 0 if there was no replay.
    pub expected: u64,
    /// The new record.
    pub body: Bytes,
    /// Whether a video is being judged. The session cannot be deleted during that time.
    pub in_progress: bool,
    /// The new time for the upload; `None` keeps the present one.
    pub upload_within: Option<Duration>,
    /// The new lease of an upload in progress; zero ends it.
    pub lease: Duration,
    /// Rows that are written with the change. A row replaces one with the same id.
    pub rows: Vec<(Lane, NewRow)>,
}

/// The result of looking up the replay of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReplayLookup<T> {
    /// The replay.
    Found(T),
    /// There is no session.
    NoSession,
    /// The session has no replay yet.
    NoReplay,
}

/// The result of changing the replay of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplayOutcome {
    /// The change was made.
    Changed {
        /// The new revision.
        revision: u64,
    },
    /// There is no session.
    NoSession,
    /// The replay has another revision.
    OtherRevision,
}
