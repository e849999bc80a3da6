//! What this installation found out about a face, sealed with its template.

use faceline_shared::face::{CodedFace, Eyes, ImageType, PixelBox};
use serde::{Deserialize, Serialize};

use super::request::FaceRequest;

/// What the service says about a face when it codes it, and signs again when a caller sends the template back. A template of an
/// earlier version has none.
///
/// A new member needs a default: templates without it are kept for years.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FaceFacts {
    /// SHA-256 of the picture's file, in lower-case hex.
    pub digest: String,
    /// The picture's kind, by which its face was chosen.
    pub image_type: ImageType,
    /// The face's quality, -500 to 300.
    pub quality: i32,
    /// The centres of the eyes.
    pub eyes: Eyes,
    /// The face's box; `None` where a worker of an earlier version coded the face.
    #[serde(default)]
    pub face_box: Option<PixelBox>,
    /// `imageRotationEnabled` of the request that coded the face.
    #[serde(default)]
    pub rotation: Option<bool>,
}

impl FaceFacts {
    /// The facts about the face that a worker found in the picture of `request`, whose file has the SHA-256 `digest`.
    pub(super) fn new(request: &FaceRequest, digest: &str, face: &CodedFace) -> Self {
        Self {
            digest: digest.to_owned(),
            image_type: request.picture.image_type,
            quality: face.quality,
            eyes: face.eyes,
            face_box: face.face_box,
            rotation: request.rotation,
        }
    }
}
