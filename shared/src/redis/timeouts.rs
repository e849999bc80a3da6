//! Time limits of operations.

use std::time::Duration;

/// Time limits for the use of a server.
#[derive(Clone, Copy, Debug)]
pub struct RedisTimeouts {
    /// For a new connection, including the search for the master.
    pub connect: Duration,
    /// For an answer. After that the connection is closed.
    pub answer: Duration,
    /// For a whole operation: connection, answer, and repetition.
    pub operation: Duration,
}

impl RedisTimeouts {
    /// The timeouts of stores.
    pub(super) const STORE: Self = Self {
        connect: Duration::from_secs(1),
        answer: Duration::from_secs(3),
        operation: Duration::from_secs(5),
    };
}
