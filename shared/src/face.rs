//! What the service knows about a face.

use std::str::FromStr;

use half::f16;
use serde::{Deserialize, Serialize};

/// Quality of a picture in which nobody is.
pub const QUALITY_NOBODY: i32 = -10_000;

/// The kind of a picture; decides how several faces are treated.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImageType {
    /// A photographed identity document: its largest portrait counts.
    IdDocument,
    /// A picture that a person took of themselves: one face is expected.
    Selfie,
    /// A frame of a video: one face is expected.
    VideoFrame,
}

impl ImageType {
    /// Every kind, in the order in which the API texts list them.
    pub const ALL: [Self; 3] = [Self::IdDocument, Self::Selfie, Self::VideoFrame];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdDocument => "ID_DOCUMENT",
            Self::Selfie => "SELFIE",
            Self::VideoFrame => "VIDEO_FRAME",
        }
    }
}

impl FromStr for ImageType {
    type Err = UnknownImageType;

    fn from_str(text: &str) -> Result<Self, UnknownImageType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownImageType)
    }
}

/// A picture kind that the API does not know.
#[derive(Debug, thiserror::Error)]
#[error("allowed values are ID_DOCUMENT, SELFIE and VIDEO_FRAME")]
pub struct UnknownImageType;

/// The eyes' centres in pixels of the picture as received, after its EXIF orientation.
///
/// `x1`, `y1` is the eye at the picture's left.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Eyes {
    /// Left eye in the picture, from the left edge.
    pub x1: f32,
    /// Left eye in the picture, from the upper edge.
    pub y1: f32,
    /// Right eye in the picture, from the left edge.
    pub x2: f32,
    /// Right eye in the picture, from the upper edge.
    pub y2: f32,
}

impl Eyes {
    /// Distance of the eyes' centres in pixels.
    #[must_use]
    pub fn distance(&self) -> f32 {
        (self.x2 - self.x1).hypot(self.y2 - self.y1)
    }
}

/// An upright rectangle in pixels of the picture as received, after its EXIF orientation.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Extent to the right.
    pub width: f32,
    /// Extent downwards.
    pub height: f32,
}

/// An L2-normalised vector that stands for a face, with the algorithm that made it.
///
/// Two of them can be compared only where algorithm and version agree.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Embedding {
    /// Name of the algorithm: the API's `mode`.
    pub algorithm: String,
    /// The API's `templateVersion`.
    pub version: u32,
    /// Components, half precision: the cosine of two vectors moves by less than 1e-4 through it.
    pub vector: Vec<f16>,
}

impl Embedding {
    /// Rounds a vector to half precision.
    #[must_use]
    pub fn new(algorithm: &str, version: u32, vector: &[f32]) -> Self {
        let vector = vector.iter().copied().map(f16::from_f32).collect();
        Self { algorithm: algorithm.to_owned(), version, vector }
    }

    /// Cosine of the angle between two vectors, -1 to 1; `None` where they are not comparable.
    ///
    /// Computed anew from the rounded components, so that a vector with itself gives exactly 1.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        if self.algorithm != other.algorithm
            || self.version != other.version
            || self.vector.len() != other.vector.len()
        {
            return None;
        }
        let (mut dot, mut own, mut their) = (0_f64, 0_f64, 0_f64);
        for (a, b) in self.vector.iter().zip(&other.vector) {
            let (a, b) = (a.to_f64(), b.to_f64());
            dot += a * b;
            own += a * a;
            their += b * b;
        }
        let norm = (own * their).sqrt();
        if norm > 0.0 { Some((dot / norm).clamp(-1.0, 1.0) as f32) } else { None }
    }
}

/// A face as a worker describes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CodedFace {
    /// Above 100: good; negative: a better picture is needed.
    pub quality: i32,
    /// Where the eyes are.
    pub eyes: Eyes,
    /// Where the face is.
    pub bounding_box: BoundingBox,
    /// The face's embedding.
    pub embedding: Embedding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_embedding_twice_has_cosine_one() {
        let embedding = Embedding::new("A", 1, &[0.3, -0.2, 0.9]);
        assert_eq!(embedding.cosine(&embedding), Some(1.0));
    }

    #[test]
    fn embeddings_of_different_algorithms_are_not_comparable() {
        let one = Embedding::new("A", 1, &[1.0, 0.0]);
        assert_eq!(one.cosine(&Embedding::new("B", 1, &[1.0, 0.0])), None);
        assert_eq!(one.cosine(&Embedding::new("A", 2, &[1.0, 0.0])), None);
        assert_eq!(one.cosine(&Embedding::new("A", 1, &[1.0])), None);
    }

    #[test]
    fn image_types_are_read_as_written() {
        for kind in ImageType::ALL {
            assert_eq!(kind.as_str().parse::<ImageType>().ok(), Some(kind));
        }
        assert!("selfie".parse::<ImageType>().is_err());
    }
}
