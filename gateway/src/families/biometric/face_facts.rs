//! The facts that this installation determined about a face, sealed with its template.

use faceline_shared::face::{CodedFace, Eyes, ImageType, PixelBox};
use serde::{Deserialize, Serialize};

use super::request::FaceRequest;

/// The facts about a face that the service states when it codes the face. It signs them again when a caller sends the
/// template back. A template of an earlier version has none.
///
/// A new member needs a default: templates without it are kept for years.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FaceFacts {
    /// SHA-256 of the picture's file, in lower-case hex.
    pub digest: String,
    /// The picture's kind, which decided the choice of the face.
    pub image_type: ImageType,
    /// The face's quality, -500 to 300.
    pub quality: i32,
    /// The centres of the eyes.
    pub eyes: Eyes,
    /// The face's box; `None` if a worker of an earlier version coded the face.
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
