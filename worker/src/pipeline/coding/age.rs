//! Estimating the age of a face.

use super::coded::{AgedFace, CodingOptions};
use crate::pipeline::face_pipeline::{LocatedFace, Pipeline};
use crate::pipeline::fault::PipelineFault;
use crate::pipeline::quality::{Measures, quality};
use crate::pipeline::search::{Choice, Embedded, Searched, finer_side};
use crate::pipeline::times::Stage;

/// Below this eye distance, in decoded pixels, a face is decoded again at a finer scale. The age network's input has 66
/// pixels between the eyes.
const AGE_EYE_PIXELS: f32 = 80.0;

impl Pipeline {
    /// Estimates the age of the face that [`Self::code`] would code; `None` where there is none.
    ///
    /// # Errors
    /// [`PipelineFault::Picture`] if the picture cannot be decoded, [`PipelineFault::SeveralFaces`] if it shows several
    /// faces, [`PipelineFault::Inference`] if a model fails.
    pub fn estimate_age(
        &mut self,
        picture: &[u8],
        options: CodingOptions,
    ) -> Result<Option<AgedFace>, PipelineFault> {
        let CodingOptions { image_type, rotate } = options;
        let searched = self.searcher.start(&mut self.context, picture, image_type.into(), rotate)?;
        self.finish_age(searched, false)
    }

    /// Estimates the age of the face nearest to the picture's centre, whatever its quality, and ignores all others. For
    /// data sets that mean the central face.
    ///
    /// # Errors
    /// [`PipelineFault::Picture`] if the picture cannot be decoded, [`PipelineFault::Inference`] if a model fails.
    pub fn estimate_central_age(&mut self, picture: &[u8]) -> Result<Option<AgedFace>, PipelineFault> {
        let searched = self.searcher.start(&mut self.context, picture, Choice::Central, false)?;
        self.finish_age(searched, true)
    }

    /// Estimates an age after the first search. Where the quality is negative the age would be a guess, and is
    /// estimated only with `at_any_quality`.
    fn finish_age(
        &mut self,
        searched: Searched<'_>,
        at_any_quality: bool,
    ) -> Result<Option<AgedFace>, PipelineFault> {
        let Some(LocatedFace { mut source, mut picture, embedded }) = self.locate(searched, None)? else {
            return Ok(None);
        };
        let Embedded { candidate, chip, embedding } = embedded;
        let quality = quality(&Measures::new(&candidate, &chip, embedding.norm));
        if quality < 0 && !at_any_quality {
            return Ok(Some(AgedFace { quality, age: None, estimates: Vec::new() }));
        }
        if let Some(side) = finer_side(&picture, &candidate, AGE_EYE_PIXELS) {
            picture = self.context.timed(Stage::Decode, |_| source.decode(side))?;
        }
        let ages = self.ages.get()?;
        let face = candidate.in_picture(&picture);
        let estimates = self.context.timed(Stage::Age, |sampler| ages.estimate_each(sampler, &face))?;
        let age = ages.combined(&estimates);
        Ok(Some(AgedFace { quality, age: Some(age), estimates }))
    }
}
