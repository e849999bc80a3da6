//! The description of a face, which callers receive and sessions keep.

use faceline_shared::face::{Eyes, ImageType};
use serde::{Deserialize, Serialize};

/// Everything that describes a face, except its template.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FaceDescription {
    /// The caller's name for the face.
    pub friendly_name: Option<String>,
    /// SHA-256 of the picture's file, lower-case hex.
    pub digest: Option<String>,
    /// The kind of picture.
    pub image_type: ImageType,
    /// Quality of the face, as a worker scored it.
    pub quality: Option<i32>,
    /// Positions of the eyes.
    pub eyes: Option<Eyes>,
    /// Whether the caller enabled image rotation, as in the request.
    pub rotation: Option<bool>,
}
