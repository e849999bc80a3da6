//! What a session is found by.

use std::fmt;

use uuid::Uuid;

/// A session's full name: a client's session is found under that client's name only, so that for every other client it
/// does not exist.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SessionName {
    /// Whose it is.
    pub client: String,
    /// Its id, random.
    pub id: Uuid,
}

impl fmt::Display for SessionName {
    /// `id/client`: the id has a fixed length, so no two names look alike.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.id, self.client)
    }
}
