//! The pictures of a task, by what they are in it.

use serde::{Deserialize, Serialize};

/// Which picture of a task is meant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Subject {
    /// The only picture.
    Image,
    /// The known side of a comparison.
    Reference,
    /// The other side.
    Candidate,
    /// A live picture, by its place among them.
    Live(u8),
    /// The photo that live pictures are compared with.
    Photo,
}

impl Subject {
    /// Its name in keys of the blob store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Reference => "reference",
            Self::Candidate => "candidate",
            Self::Live(_) => "live",
            Self::Photo => "photo",
        }
    }
}
