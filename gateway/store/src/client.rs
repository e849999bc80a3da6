//! Bounds on the data that one client may keep in a store at the same time, so no client can fill the store for all
//! others.
//!
//! A store counts the data in the same operation that changes it. Expired data no longer counts. Data that an earlier
//! version of the gateway wrote is not counted; it expires with its session or record.

use std::time::Duration;

/// Bounds on the data of one client. [`u64::MAX`] means no bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientBounds {
    /// Number of sessions.
    pub sessions: u64,
    /// Number of faces in all sessions of the client.
    pub faces: u64,
    /// Bytes of the client's sessions, faces and replays as they are stored, without the store's overhead. Changes of
    /// a replay in progress are accepted beyond the bound.
    pub session_bytes: u64,
    /// Number of idempotency records.
    pub idempotency_records: u64,
    /// Bytes of the answers in the client's idempotency records. Answers of requests that were in progress when the
    /// bound was reached are stored beyond it.
    pub idempotency_bytes: u64,
}

impl ClientBounds {
    /// No bounds.
    pub const NONE: Self = Self {
        sessions: u64::MAX,
        faces: u64::MAX,
        session_bytes: u64::MAX,
        idempotency_records: u64::MAX,
        idempotency_bytes: u64::MAX,
    };

    /// The bound of one kind.
    #[must_use]
    pub fn of(&self, bound: ClientBound) -> u64 {
        match bound {
            ClientBound::Sessions => self.sessions,
            ClientBound::Faces => self.faces,
            ClientBound::SessionBytes => self.session_bytes,
            ClientBound::IdempotencyRecords => self.idempotency_records,
            ClientBound::IdempotencyBytes => self.idempotency_bytes,
        }
    }
}

/// A kind of bound.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ClientBound {
    /// [`ClientBounds::sessions`].
    Sessions,
    /// [`ClientBounds::faces`].
    Faces,
    /// [`ClientBounds::session_bytes`].
    SessionBytes,
    /// [`ClientBounds::idempotency_records`].
    IdempotencyRecords,
    /// [`ClientBounds::idempotency_bytes`].
    IdempotencyBytes,
}

impl ClientBound {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Sessions, Self::Faces, Self::SessionBytes, Self::IdempotencyRecords, Self::IdempotencyBytes];

    /// The label in metrics: the end of the setting's name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Faces => "faces",
            Self::SessionBytes => "session_bytes",
            Self::IdempotencyRecords => "idempotency_records",
            Self::IdempotencyBytes => "idempotency_bytes",
        }
    }
}

/// A client has reached a bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientFull {
    /// The bound that is reached.
    pub bound: ClientBound,
    /// Time until the first of the client's items expires. Before that, only a deletion frees capacity.
    pub first_expiry: Duration,
}

/// The data that one client keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientUsage {
    /// Number of sessions.
    pub sessions: u64,
    /// Number of faces in all sessions of the client.
    pub faces: u64,
    /// Bytes of the client's sessions, faces and replays.
    pub session_bytes: u64,
    /// Number of idempotency records.
    pub idempotency_records: u64,
    /// Bytes of the answers in the client's idempotency records.
    pub idempotency_bytes: u64,
}

impl ClientUsage {
    /// The amount that counts against the bound of one kind.
    #[must_use]
    pub fn of(&self, bound: ClientBound) -> u64 {
        match bound {
            ClientBound::Sessions => self.sessions,
            ClientBound::Faces => self.faces,
            ClientBound::SessionBytes => self.session_bytes,
            ClientBound::IdempotencyRecords => self.idempotency_records,
            ClientBound::IdempotencyBytes => self.idempotency_bytes,
        }
    }
}
