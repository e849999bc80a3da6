//! The results of operations on a session.

use std::time::Duration;

use bytes::Bytes;

/// A session as a store holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredSession {
    /// The body with which the session was created.
    pub body: Bytes,
    /// Time until the session ends.
    pub left: Duration,
}

/// The result of deleting a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deletion {
    /// This call deleted the session.
    Deleted,
    /// There was no session.
    NoSession,
    /// The session still exists, because a replay is in progress.
    ReplayInProgress,
}

/// The result of adding a face to a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Insertion {
    /// The session has the face.
    Added,
    /// There is no session.
    NoSession,
    /// The session already has its maximum number of faces.
    Full,
}

/// The result of looking up a face in a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FaceLookup<T> {
    /// The face.
    Found(T),
    /// There is no session.
    NoSession,
    /// The session has no such face.
    NoFace,
}
