//! What goes into a coding and what comes out.

use faceline_shared::face::{BoundingBox, Eyes, ImageType};

use super::frame::Turn;
use super::quality::Measures;
use crate::inference::InferenceError;
use crate::picture::PictureFault;

/// How a picture is to be coded.
#[derive(Clone, Copy, Debug)]
pub struct CodingOptions {
    /// Decides what several faces mean.
    pub image_type: ImageType,
    /// Whether faces may lie on their side or upside down.
    pub rotate: bool,
}

/// What is in a picture.
#[derive(Clone, Debug)]
pub struct Coded {
    /// Who is in it; `None` where nobody is.
    pub face: Option<CodedFace>,
    /// By how much the picture must be turned so that the face stands upright.
    pub turn: Turn,
}

/// A face and its embedding. Coordinates are pixels of the picture at its received size, after its EXIF
/// orientation, not turned by [`Coded::turn`].
#[derive(Clone, Debug)]
pub struct CodedFace {
    /// Above 100: good; negative: a better picture is needed.
    pub quality: i32,
    /// What the quality follows from.
    pub measures: Measures,
    /// The eyes' centres, the one at the picture's left first.
    pub eyes: Eyes,
    /// The face.
    pub bounding_box: BoundingBox,
    /// L2-normalised embedding.
    pub embedding: Vec<f32>,
    /// The detector's word on it, 0 to 1.
    pub score: f32,
}

/// A face and its age.
#[derive(Clone, Copy, Debug)]
pub struct AgedFace {
    /// As [`CodedFace::quality`].
    pub quality: i32,
    /// In years; `None` where the quality is negative.
    pub age: Option<f32>,
}

/// Why a picture was not coded.
#[derive(Debug, thiserror::Error)]
pub enum CodingFault {
    /// The bytes do not become a picture.
    #[error(transparent)]
    Picture(#[from] PictureFault),
    /// More than one face counts, where one is expected.
    #[error("there are several faces in the picture")]
    SeveralFaces,
    /// Not the picture's fault: a model failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}
