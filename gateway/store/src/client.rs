//! What one client may keep in a store at the same time, so none of them can fill it for all others.
//!
//! A store counts in the same operation that changes something, and what has expired does not count any more. What an earlier
//! version of the gateway wrote is not counted; it expires with its session or record.

use std::time::Duration;

/// Bounds of what one client keeps. [`u64::MAX`] is no bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientBounds {
    /// Sessions.
    pub sessions: u64,
    /// Faces of all its sessions.
    pub faces: u64,
    /// Bytes of its sessions, faces and replays as they are stored, without the store's overhead. A replay in progress is kept
    /// beyond the bound.
    pub session_bytes: u64,
    /// Idempotency records.
    pub idempotency_records: u64,
    /// Bytes of the answers in its idempotency records. The answers of requests that were in progress when the bound was
    /// reached are kept beyond it.
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

/// A client keeps as much as it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientFull {
    /// The bound that is reached.
    pub bound: ClientBound,
    /// Time until the first of what the client keeps expires. Before that, only deleting makes room.
    pub first_expiry: Duration,
}

/// What one client keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientUsage {
    /// Sessions.
    pub sessions: u64,
    /// Faces of all its sessions.
    pub faces: u64,
    /// Bytes of its sessions, faces and replays.
    pub session_bytes: u64,
    /// Idempotency records.
    pub idempotency_records: u64,
    /// Bytes of the answers in its idempotency records.
    pub idempotency_bytes: u64,
}

impl ClientUsage {
    /// What counts against the bound of one kind.
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
