//! What is kept of a session and of its faces.

use faceline_shared::face::Embedding;
use serde::{Deserialize, Serialize};

use crate::sessions::face::FaceDescription;
use crate::sessions::media_type;
use crate::timestamp::Timestamp;

/// A session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// The caller's own identifier.
    pub correlation_id: Option<String>,
    /// The caller's own identifier.
    pub evidence_id: Option<String>,
    /// Keep the pictures that faces are made of.
    pub keeps_pictures: bool,
    /// Where the caller wants to hear of replays.
    pub callback_url: Option<String>,
    /// When it ends, by the clock of the gateway that created it: for callers to read. What ends it is the store.
    pub expires: Timestamp,
    /// The signed JSON that describes it.
    pub answer: String,
}

/// A face of a session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Face {
    /// What matches repeat of it.
    pub description: FaceDescription,
    /// What is compared; `None` where nobody was in the picture.
    pub embedding: Option<Embedding>,
    /// The picture's file, where it is kept.
    pub picture: Option<KeptPicture>,
    /// The signed JSON that describes it.
    pub answer: String,
}

/// A file in the object store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeptPicture {
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub length: usize,
}

impl KeptPicture {
    /// Whether it is a JPEG.
    #[must_use]
    pub fn is_jpeg(&self) -> bool {
        self.media_type == media_type::JPEG
    }
}
