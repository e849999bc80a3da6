//! The roles of pictures in a task.

use serde::{Deserialize, Serialize};

/// The role of a picture in its task.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Subject {
    /// The only picture of the task.
    Image,
    /// The picture of the known person in a comparison.
    Reference,
    /// The picture that is compared with the reference.
    Candidate,
    /// A live picture, by its index.
    Live(u8),
    /// The photo that live pictures are compared with.
    Photo,
    /// The only video of the task.
    Video,
}

impl Subject {
    /// The role's name in keys of the blob store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Reference => "reference",
            Self::Candidate => "candidate",
            Self::Live(_) => "live",
            Self::Photo => "photo",
            Self::Video => "video",
        }
    }
}
