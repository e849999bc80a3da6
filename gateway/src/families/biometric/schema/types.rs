//! Schemas of single members of answers. The comments of these types are texts of the OpenAPI document.

use faceline_shared::face::ImageType as PictureKind;
use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::families::biometric::replay_request::{LIVENESS_TYPES, SECURITY_LEVELS};

/// The kind of a picture; decides how several faces are treated.
pub(in crate::families::biometric) struct ImageType;

impl ToSchema for ImageType {}

impl PartialSchema for ImageType {
    fn schema() -> RefOr<Schema> {
        one_of(&PictureKind::ALL)
    }
}

/// The types of pictures in which the service estimates an age.
pub const TYPES_WITH_AGE: [PictureKind; 2] = [PictureKind::Selfie, PictureKind::VideoFrame];

/// The schema of those types.
pub(in crate::families::biometric) fn image_type_with_age() -> RefOr<Schema> {
    one_of(&TYPES_WITH_AGE)
}

/// A string schema with one value for each kind.
fn one_of(kinds: &[PictureKind]) -> RefOr<Schema> {
    let names = kinds.iter().map(|kind| kind.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
}

/// The schema of a replay's type.
pub(in crate::families::biometric) fn liveness_type() -> RefOr<Schema> {
    texts(LIVENESS_TYPES)
}

/// The schema of a security level.
pub(in crate::families::biometric) fn security_level() -> RefOr<Schema> {
    texts(SECURITY_LEVELS)
}

/// The schema of a replay's status.
pub(in crate::families::biometric) fn replay_status() -> RefOr<Schema> {
    texts(["INITIALIZED", "IN_PROGRESS", "ERROR", "SUCCESS", "FAILED", "SPOOF", "TIMEOUT"])
}

/// The schema of the status of a challenge of web capture.
pub(in crate::families::biometric) fn challenge_status() -> RefOr<Schema> {
    texts(["IN_PROGRESS", "SUCCESS", "SPOOF", "TIMEOUT", "ERROR"])
}

/// A string schema of these values.
fn texts<const N: usize>(values: [&str; N]) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).into()
}

/// The centres of the eyes, in pixels of the picture as sent, after applying its EXIF orientation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::families::biometric) struct LandmarksEyes {
    /// The eye on the left of the picture: distance from the left edge.
    #[schema(example = 1191.4584)]
    x1: f32,
    /// The eye on the left of the picture: distance from the upper edge.
    #[schema(example = 582.79565)]
    y1: f32,
    /// The eye on the right of the picture: distance from the left edge.
    #[schema(example = 1477.8955)]
    x2: f32,
    /// The eye on the right of the picture: distance from the upper edge.
    #[schema(example = 580.3324)]
    y2: f32,
}

/// The bounding box of the face, clipped to the picture, in pixels of the picture as sent, after applying its EXIF
/// orientation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::families::biometric) struct LandmarksBox {
    /// Distance of the box from the left edge of the picture.
    #[schema(example = 465)]
    x: u32,
    /// Distance of the box from the upper edge of the picture.
    #[schema(example = 149)]
    y: u32,
    /// Width of the box.
    #[schema(minimum = 1, example = 348)]
    width: u32,
    /// Height of the box.
    #[schema(minimum = 1, example = 348)]
    height: u32,
}
