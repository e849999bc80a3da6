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
    /// Keep the pictures that faces are made from.
    pub keeps_pictures: bool,
    /// Where the caller wants to be notified of replays.
    pub callback_url: Option<String>,
    /// When the session ends, by the clock of the gateway that created it. Callers read it; the store's own clock ends the
    /// session.
    pub expires: Timestamp,
    /// The signed JSON that describes the session.
    pub answer: String,
}

/// A face of a session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionFace {
    /// The description that matches repeat.
    pub description: FaceDescription,
    /// The embedding that matches compare; `None` if no face was found in the picture.
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
