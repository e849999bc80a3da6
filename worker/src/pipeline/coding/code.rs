//! Coding the faces of pictures.

use super::coded::{Coded, CodedFace, CodingOptions};
use crate::pipeline::face_pipeline::{LocatedFace, Pipeline};
use crate::pipeline::fault::PipelineFault;
use crate::pipeline::geometry::Rotation;
use crate::pipeline::quality::quality;
use crate::pipeline::search::{Choice, Embedded, Searched};

impl Pipeline {
    /// Codes one picture.
    ///
    /// # Errors
    /// [`PipelineFault::Picture`] if the picture cannot be decoded, [`PipelineFault::SeveralFaces`] if it shows several
    /// faces, [`PipelineFault::Inference`] if a model fails.
    pub fn code(&mut self, picture: &[u8], options: CodingOptions) -> Result<Coded, PipelineFault> {
        let searched = self.start(picture, options)?;
        self.finish(searched, None)
    }

    /// Codes several pictures with one run of the embedding; each has the result that it has alone.
    pub fn code_all(&mut self, pictures: &[(&[u8], CodingOptions)]) -> Vec<Result<Coded, PipelineFault>> {
        let searched: Vec<_> = pictures.iter().map(|(bytes, options)| self.start(bytes, *options)).collect();
        // If the batch fails, each picture is embedded alone and fails for its own reason.
        let firsts = self.searcher.embed_firsts(&mut self.context, &searched).unwrap_or_default();
        let firsts = firsts.into_iter().chain(std::iter::repeat_with(|| None));
        searched.into_iter().zip(firsts).map(|(found, first)| self.finish(found?, first)).collect()
    }

    /// Codes the face nearest to the picture's centre and ignores all others. For data sets that mean the central face.
    ///
    /// # Errors
    /// [`PipelineFault::Picture`] if the picture cannot be decoded, [`PipelineFault::Inference`] if a model fails.
    pub fn code_central(&mut self, picture: &[u8]) -> Result<Coded, PipelineFault> {
        let searched = self.searcher.start(&mut self.context, picture, Choice::Central, false)?;
        self.finish(searched, None)
    }

    /// Decodes a picture and searches it as a whole.
    fn start<'b>(
        &mut self,
        picture: &'b [u8],
        options: CodingOptions,
    ) -> Result<Searched<'b>, PipelineFault> {
        self.searcher.start(&mut self.context, picture, options.image_type.into(), options.rotate)
    }

    /// Codes a picture after its first search. `first` is the first candidate's embedding if it is known already.
    fn finish(&mut self, searched: Searched<'_>, first: Option<Embedded>) -> Result<Coded, PipelineFault> {
        let Some(LocatedFace { embedded, .. }) = self.locate(searched, first)? else {
            return Ok(Coded { face: None, rotation: Rotation::None });
        };
        let measures = self.measure(&embedded)?;
        let Embedded { candidate, embedding, .. } = embedded;
        Ok(Coded {
            rotation: candidate.frame.rotation,
            face: Some(CodedFace {
                quality: quality(&measures),
                measures,
                eyes: candidate.eyes(),
                bounding_box: candidate.bounding_box(),
                face_box: candidate.face_box(),
                embedding: embedding.vector,
                score: candidate.detection.score,
            }),
        })
    }
}
