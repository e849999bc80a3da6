//! The records of a session and of its faces.

use faceline_shared::face::Embedding;
use serde::{Deserialize, Serialize};

use super::face::FaceDescription;
use super::media_type;
use crate::timestamp::Timestamp;

/// A session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// The caller's own identifier of the case.
    pub correlation_id: Option<String>,
    /// The caller's own identifier of the evidence.
    pub evidence_id: Option<String>,
    /// Whether the pictures that faces are made from are kept.
    pub keeps_pictures: bool,
    /// URL at which the caller wants to be notified of replays.
    pub callback_url: Option<String>,
    /// End of the session by the clock of the gateway that created it, for callers. The store ends the session by its
    /// own clock.
    pub expires: Timestamp,
    /// The signed JSON that describes the session.
    pub answer: String,
}

/// A face of a session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionFace {
    /// The description of the face, which the answers to matches repeat.
    pub description: FaceDescription,
    /// The embedding, which matches compare; `None` if no face was found in the picture.
    pub embedding: Option<Embedding>,
    /// The picture's file, if it is kept.
    pub picture: Option<KeptPicture>,
    /// The signed JSON that describes the face.
    pub answer: String,
}

/// A picture's file in the object store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeptPicture {
    /// Media type of the file.
    pub media_type: String,
    /// Size of the file in bytes.
    pub length: usize,
}

impl KeptPicture {
    /// Whether the file is a JPEG.
    #[must_use]
    pub fn is_jpeg(&self) -> bool {
        self.media_type == media_type::JPEG
    }
}
