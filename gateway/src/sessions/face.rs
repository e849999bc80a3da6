//! The description of a face, which callers receive and sessions keep.

use faceline_shared::face::{Eyes, ImageType, PixelBox};
use faceline_shared::job::replay::BestImage;
use serde::{Deserialize, Serialize};

/// Everything that describes a face, except its template.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FaceDescription {
    /// The caller's name for the face. This installation determined all other fields, with two exceptions. The first
    /// is `image_type` if `image_type_is_claimed` is set. The second is a face that a gateway of an earlier version
    /// took from JSON: all of its fields are claims of the caller, and nothing in the record shows that. Such records
    /// end with their sessions.
    pub friendly_name: Option<String>,
    /// SHA-256 of the picture's file, lower-case hex.
    pub digest: Option<String>,
    /// The kind of picture.
    pub image_type: ImageType,
    /// `image_type` is claimed by the caller and not proven by the template; answers leave it out.
    #[serde(default)]
    pub image_type_is_claimed: bool,
    /// Quality of the face, as a worker scored it.
    pub quality: Option<i32>,
    /// Positions of the eyes.
    pub eyes: Option<Eyes>,
    /// The box of the face; `None` where a worker or a gateway of an earlier version described it.
    #[serde(default)]
    pub face_box: Option<PixelBox>,
    /// Whether the caller enabled image rotation, as in the request.
    pub rotation: Option<bool>,
}

impl FaceDescription {
    /// The description of the face in the best image of a video, which is treated as a selfie.
    #[must_use]
    pub fn of_best_image(best: &BestImage) -> Self {
        Self {
            friendly_name: None,
            digest: Some(best.digest.clone()),
            image_type: ImageType::Selfie,
            image_type_is_claimed: false,
            quality: Some(best.face.quality),
            eyes: Some(best.face.eyes),
            face_box: best.face.face_box,
            rotation: None,
        }
    }

    /// The kind of picture, unless it is only claimed by the caller.
    #[must_use]
    pub fn known_image_type(&self) -> Option<ImageType> {
        (!self.image_type_is_claimed).then_some(self.image_type)
    }
}
