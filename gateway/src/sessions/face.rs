//! What callers are told of a face.

use faceline_shared::face::{Eyes, ImageType};
use serde::{Deserialize, Serialize};

/// A face as it is described, its template apart.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FaceDescription {
    /// The caller's name for it.
    pub friendly_name: Option<String>,
    /// SHA-256 of the picture's file, lower-case hex.
    pub digest: Option<String>,
    /// The picture's kind.
    pub image_type: ImageType,
    /// Its quality.
    pub quality: Option<i32>,
    /// Where the eyes are.
    pub eyes: Option<Eyes>,
    /// As the caller asked for it.
    pub rotation: Option<bool>,
}
