//! All faces of a picture with their sizes and sharpness: what decides whether a second face counts.

use crate::pipeline::face_pipeline::Pipeline;
use crate::pipeline::fault::CodingFault;
use crate::pipeline::quality::Measures;
use crate::pipeline::search::{Choice, Embedded};

/// The size and sharpness of one of a picture's faces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceExtent {
    /// From eye to eye, in pixels of the picture as received.
    pub eye_distance: f32,
    /// As [`Measures::sharpness`].
    pub sharpness: f32,
}

impl Pipeline {
    /// Finds all faces whose eye distance is at least `ratio` times the largest one's, the largest first.
    ///
    /// # Errors
    /// [`CodingFault::Picture`] if the picture cannot be decoded, [`CodingFault::Inference`] if a model fails.
    pub fn face_extents(&mut self, picture: &[u8], ratio: f32) -> Result<Vec<FaceExtent>, CodingFault> {
        let searched = self.searcher.start(&mut self.context, picture, Choice::All(ratio), false)?;
        let found = self.searcher.find(&mut self.context, &searched, None)?;
        let extent = |face: Embedded| {
            let measures = Measures::new(&face.candidate, &face.chip, face.embedding.norm);
            FaceExtent { eye_distance: measures.inter_eye_distance, sharpness: measures.sharpness }
        };
        Ok(found.into_iter().map(|face| extent(face.embedded)).collect())
    }
}
