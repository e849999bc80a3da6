//! Faces and pictures, as messages between gateway and worker describe them.

use std::str::FromStr;

use half::f16;
use serde::{Deserialize, Serialize};

/// Quality of a picture without a face.
pub const QUALITY_NOBODY: i32 = -10_000;

/// The kind of a picture. It decides how several faces in it are treated.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImageType {
    /// A photo of an identity document. Its largest portrait counts.
    IdDocument,
    /// A picture that a person took of themselves. It must have one face.
    Selfie,
    /// A frame of a video. It must have one face.
    VideoFrame,
}

impl ImageType {
    /// All kinds, in the order of the API texts.
    pub const ALL: [Self; 3] = [Self::IdDocument, Self::Selfie, Self::VideoFrame];

    /// The name in requests and answers.
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

/// A text names no kind of picture.
#[derive(Debug, thiserror::Error)]
#[error("allowed values are ID_DOCUMENT, SELFIE and VIDEO_FRAME")]
pub struct UnknownImageType;

/// The centres of the eyes, in pixels of the received picture after its EXIF orientation was applied.
///
/// `x1`, `y1` is the eye on the left side of the picture.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Eyes {
    /// Distance of the left eye in the picture from the left edge.
    pub x1: f32,
    /// Distance of the left eye in the picture from the upper edge.
    pub y1: f32,
    /// Distance of the right eye in the picture from the left edge.
    pub x2: f32,
    /// Distance of the right eye in the picture from the upper edge.
    pub y2: f32,
}

impl Eyes {
    /// Distance between the centres of the eyes, in pixels.
    #[must_use]
    pub fn distance(&self) -> f32 {
        (self.x2 - self.x1).hypot(self.y2 - self.y1)
    }
}

/// An upright rectangle, in pixels of the received picture after its EXIF orientation was applied.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width, to the right of `x`.
    pub width: f32,
    /// Height, below `y`.
    pub height: f32,
}

/// An upright rectangle of whole pixels of the received picture, after its EXIF orientation was applied. No part of it lies outside the
/// picture.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PixelBox {
    /// Left edge, in pixels.
    pub x: u32,
    /// Upper edge, in pixels.
    pub y: u32,
    /// Width to the right of `x`, in pixels, at least 1.
    pub width: u32,
    /// Height below `y`, in pixels, at least 1.
    pub height: u32,
}

/// The L2-normalised feature vector of a face, with the algorithm that made it.
///
/// Two embeddings can be compared only if algorithm and version are equal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Embedding {
    /// Name of the algorithm: the API's `mode`.
    pub algorithm: String,
    /// The API's `templateVersion`.
    pub version: u32,
    /// Components in half precision, which changes the cosine of two vectors by less than 1e-4.
    pub vector: Vec<f16>,
}

impl Embedding {
    /// Rounds a vector to half precision.
    #[must_use]
    pub fn new(algorithm: &str, version: u32, vector: &[f32]) -> Self {
        let vector = vector.iter().copied().map(f16::from_f32).collect();
        Self { algorithm: algorithm.to_owned(), version, vector }
    }

    /// Cosine of the angle between two vectors, -1 to 1. `None` if they cannot be compared.
    ///
    /// The norms are computed from the rounded components, so the cosine of a vector with itself is exactly 1.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        if self.algorithm != other.algorithm
            || self.version != other.version
            || self.vector.len() != other.vector.len()
        {
            return None;
        }
        let (mut dot, mut own, mut other_norm) = (0_f64, 0_f64, 0_f64);
        for (a, b) in self.vector.iter().zip(&other.vector) {
            let (a, b) = (a.to_f64(), b.to_f64());
            dot += a * b;
            own += a * a;
            other_norm += b * b;
        }
        let norm = (own * other_norm).sqrt();
        if norm > 0.0 { Some((dot / norm).clamp(-1.0, 1.0) as f32) } else { None }
    }
}

/// A face, as a worker describes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CodedFace {
    /// -500 to 300. Above 100 is good; below 0 a better picture is needed.
    pub quality: i32,
    /// The eyes.
    pub eyes: Eyes,
    /// The rectangle around the face, as the detector found it. It may extend beyond the picture.
    pub bounding_box: BoundingBox,
    /// `bounding_box` in whole pixels, clipped to the picture; `None` from a worker of an earlier version.
    #[serde(default)]
    pub face_box: Option<PixelBox>,
    /// The embedding of the face.
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

    /// A face as earlier workers and gateways, which know no `face_box`, write and read it.
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct EarlierFace {
        quality: i32,
        eyes: Eyes,
        bounding_box: BoundingBox,
        embedding: Embedding,
    }

    #[test]
    fn gateways_and_workers_of_earlier_versions_exchange_faces_with_these() {
        let earlier = EarlierFace {
            quality: 295,
            eyes: Eyes { x1: 1.0, y1: 2.0, x2: 3.0, y2: 4.0 },
            bounding_box: BoundingBox { x: -1.5, y: 0.0, width: 9.0, height: 9.0 },
            embedding: Embedding::new("A", 1, &[1.0]),
        };
        let bytes = rmp_serde::to_vec_named(&earlier).unwrap();
        let face: CodedFace = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!((face.face_box, face.bounding_box), (None, earlier.bounding_box));
        let face = CodedFace { face_box: Some(PixelBox { x: 0, y: 0, width: 8, height: 9 }), ..face };
        let bytes = rmp_serde::to_vec_named(&face).unwrap();
        assert_eq!(rmp_serde::from_slice::<EarlierFace>(&bytes).unwrap(), earlier);
        assert_eq!(rmp_serde::from_slice::<CodedFace>(&bytes).unwrap(), face);
    }

    #[test]
    fn image_types_are_read_as_written() {
        for kind in ImageType::ALL {
            assert_eq!(kind.as_str().parse::<ImageType>().ok(), Some(kind));
        }
        assert!("selfie".parse::<ImageType>().is_err());
    }
}
