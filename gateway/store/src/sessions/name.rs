//! The key of a session.

use std::fmt;

use uuid::Uuid;

/// A session's full name. It contains the client, so a session does not exist for any other client.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SessionName {
    /// The client that created the session.
    pub client: String,
    /// The session's random id.
    pub id: Uuid,
}

impl fmt::Display for SessionName {
    /// `id/client`: the id has a fixed length, so two names never have the same text.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.id, self.client)
    }
}
