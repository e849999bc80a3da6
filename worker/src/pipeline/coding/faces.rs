//! All faces of a picture with their sizes and sharpness, which decide whether a second face counts.

use crate::pipeline::face_pipeline::Pipeline;
use crate::pipeline::fault::PipelineFault;
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
    /// [`PipelineFault::Picture`] if the picture cannot be decoded, [`PipelineFault::Inference`] if a model fails.
    pub fn face_extents(&mut self, picture: &[u8], ratio: f32) -> Result<Vec<FaceExtent>, PipelineFault> {
        let searched = self.searcher.start(&mut self.context, picture, Choice::All(ratio), false)?;
        let found = self.searcher.find(&mut self.context, &searched, None)?;
        let extent = |face: Embedded| {
            let measures = Measures::new(&face.candidate, &face.chip, face.embedding.norm);
            FaceExtent { eye_distance: measures.inter_eye_distance, sharpness: measures.sharpness }
        };
        Ok(found.into_iter().map(|face| extent(face.embedded)).collect())
    }
}

#[cfg(test)]
mod tests {
    use faceline_shared::face::ImageType;
    use image::{ImageFormat, RgbImage, imageops};

    use super::*;
    use crate::pipeline::CodingOptions;
    use crate::pipeline::tests::{encode, pipeline, wall};

    /// A face of 300 pixels, and beside it one of `side` pixels, blurred.
    fn beside(side: u32, blur: f32) -> RgbImage {
        let mut picture = wall(900, 500, &[(80, 120, side), (520, 120, 300)]);
        if blur > 0.0 {
            let left = imageops::crop_imm(&picture, 0, 0, 500, 500).to_image();
            imageops::replace(&mut picture, &imageops::fast_blur(&left, blur), 0, 0);
        }
        picture
    }

    #[test]
    fn a_second_face_counts_by_its_size_however_sharp() {
        let options = CodingOptions { image_type: ImageType::Selfie, rotate: false };
        for (side, blur, several) in
            [(150, 0.0, false), (180, 0.0, false), (210, 0.0, true), (285, 0.0, true), (240, 2.0, true)]
        {
            let picture = encode(&beside(side, blur), ImageFormat::Png);
            let coded = pipeline().code(&picture, options);
            let refused = matches!(coded, Err(PipelineFault::SeveralFaces));
            assert_eq!(refused, several, "{side} of 300 pixels, blurred by {blur}");
            assert!(refused || coded.unwrap().face.is_some_and(|face| face.eyes.x1 > 520.0));
        }
    }

    #[test]
    fn all_faces_are_measured_the_largest_first() {
        let extents =
            |blur| pipeline().face_extents(&encode(&beside(240, blur), ImageFormat::Png), 0.3).unwrap();
        let [sharp, blurred] = [extents(0.0), extents(2.5)];
        assert!(sharp.len() == 2 && blurred.len() == 2, "{sharp:?} {blurred:?}");
        let ratio = sharp[1].eye_distance / sharp[0].eye_distance;
        assert!((ratio - 0.8).abs() < 0.05, "{ratio}");
        assert!(blurred[1].sharpness < sharp[1].sharpness - 0.03, "{sharp:?} {blurred:?}");
    }
}
