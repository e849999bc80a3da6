//! Input and results of coding.

use faceline_shared::face::{BoundingBox, Eyes, ImageType, PixelBox};

use crate::pipeline::geometry::Rotation;
use crate::pipeline::quality::Measures;

/// Options for coding a picture.
#[derive(Clone, Copy, Debug)]
pub struct CodingOptions {
    /// Decides which of several faces is selected.
    pub image_type: ImageType,
    /// Whether faces may lie on their side or upside down.
    pub rotate: bool,
}

/// The result of coding a picture.
#[derive(Clone, Debug)]
pub struct Coded {
    /// The selected face; `None` where there is none.
    pub face: Option<CodedFace>,
    /// The rotation of the picture in which the face stands upright.
    pub rotation: Rotation,
}

/// A face and its embedding. Coordinates are pixels of the picture at its received size, after its EXIF orientation and
/// without [`Coded::rotation`].
#[derive(Clone, Debug)]
pub struct CodedFace {
    /// Above 100: good. Negative: a better picture is needed.
    pub quality: i32,
    /// The measures from which the quality is computed.
    pub measures: Measures,
    /// Centres of the eyes, the one at the picture's left first.
    pub eyes: Eyes,
    /// The detector's box.
    pub bounding_box: BoundingBox,
    /// The detector's box in whole pixels, clipped to the picture.
    pub face_box: PixelBox,
    /// The L2-normalised embedding.
    pub embedding: Vec<f32>,
    /// The detector's score, 0 to 1.
    pub score: f32,
}

/// A face and its age.
#[derive(Clone, Debug)]
pub struct AgedFace {
    /// As [`CodedFace::quality`].
    pub quality: i32,
    /// In years; `None` where the quality is negative.
    pub age: Option<f32>,
    /// The estimate of each age network in years, before the correction. Empty where the quality is negative.
    pub estimates: Vec<f32>,
}
