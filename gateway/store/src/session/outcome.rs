//! What became of an operation on a session.

use std::time::Duration;

use bytes::Bytes;

/// A session as a store holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredSession {
    /// What was kept.
    pub body: Bytes,
    /// Time until it ends.
    pub left: Duration,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deletion {
    /// The session is gone.
    Deleted,
    /// There was no session.
    NoSession,
    /// The session is there: a replay is in progress.
    ReplayInProgress,
}

/// What became of a face that was to be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Insertion {
    /// The session has it.
    Added,
    /// There is no session.
    NoSession,
    /// The session has as many as it may.
    Full,
}

/// What was looked for in a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<T> {
    /// Here it is.
    Yes(T),
    /// There is no session.
    NoSession,
    /// The session has no such face.
    NoFace,
}
