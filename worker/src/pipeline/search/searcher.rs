//! Detector, landmark model and embedder together: the first search of a picture, and the embedding of candidates.

use std::time::Duration;

use super::candidate::Candidate;
use super::choice::Choice;
use super::finder::Finder;
use super::found::{Embedded, Searched};
use crate::inference::InferenceError;
use crate::picture::{Chip, Picture, PictureFault, PictureLimits, Source, eighths};
use crate::pipeline::context::Context;
use crate::pipeline::fault::PipelineFault;
use crate::pipeline::geometry::{FramedPicture, Rotation};
use crate::pipeline::models::{Embedder, FaceEmbedding, FaceModel as _, Models, open};
use crate::pipeline::times::Stage;

/// A large picture is decoded so that its longer side has at least this many pixels for the search.
const SEARCH_SIDE_PIXELS: u32 = 1000;

/// Below this eye distance, in decoded pixels, a face is decoded again at a finer scale. The embedding's template has
/// 35 pixels.
const FINE_EYE_PIXELS: f32 = 48.0;

/// The scale, in eighths, at which a JPEG of this size is searched for faces.
#[must_use]
pub fn search_eighths(width: u32, height: u32) -> u8 {
    eighths(width, height, SEARCH_SIDE_PIXELS)
}

/// Finds faces and embeds them.
pub(crate) struct Searcher {
    pub(super) finder: Finder,
    pub(super) embedder: Embedder,
}

impl Searcher {
    pub(crate) fn open(models: &Models) -> Result<Self, InferenceError> {
        Ok(Self { finder: Finder::open(models)?, embedder: open(models)? })
    }

    /// Time of all runs of the models so far.
    pub(crate) fn model_time(&self) -> Duration {
        self.finder.model_time() + self.embedder.model_time()
    }

    /// The finder, for the landmarks of faces that were found.
    pub(crate) fn finder(&mut self) -> &mut Finder {
        &mut self.finder
    }

    /// Runs each model once.
    pub(crate) fn warm_up(&mut self, context: &mut Context) -> Result<(), PipelineFault> {
        const PLAIN: &[u8] = b"P5 2 2 255\n\x7f\x7f\x7f\x7f";
        let picture = Source::open(PLAIN, &PictureLimits::default())?.decode(SEARCH_SIDE_PIXELS)?;
        self.finder.warm_up(&mut context.sampler, &picture)?;
        let five = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [1.0, 1.0]];
        let chip = self.embedder.align(&mut context.sampler, &picture, &five);
        self.embedder.embed(&[&chip])?;
        Ok(())
    }

    /// Runs each model `count` times on one input. For benchmarks.
    pub(crate) fn run_noise(&mut self, count: u32) -> Result<(), InferenceError> {
        self.finder.run_noise(count)?;
        self.embedder.network_mut().run_noise(count)
    }

    /// Decodes a picture and searches it for faces as a whole. Where a large face is alone, half the detector's size is
    /// enough.
    pub(crate) fn start<'b>(
        &mut self,
        context: &mut Context,
        bytes: &'b [u8],
        choice: Choice,
        rotate: bool,
    ) -> Result<Searched<'b>, PipelineFault> {
        let limits = context.settings.limits;
        let (source, picture) = context.timed(Stage::Decode, |_| {
            let mut source = Source::open(bytes, &limits)?;
            let picture = source.decode(SEARCH_SIDE_PIXELS)?;
            Ok::<_, PictureFault>((source, picture))
        })?;
        let upright = FramedPicture::new(&picture, Rotation::None);
        let half_size_face = self.finder.at_half_size(context, &upright, choice)?;
        let found_at_half_size = half_size_face.is_some();
        let candidates = match half_size_face {
            Some(face) => vec![face],
            None => self.search(context, &upright, choice)?,
        };
        Ok(Searched { source, picture, candidates, found_at_half_size, choice, rotate })
    }

    /// Candidates in the frame as a whole, the most likely one first.
    pub(super) fn search(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
        choice: Choice,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let mut candidates = self.finder.whole(context, framed)?;
        choice.sort(&mut candidates);
        Ok(candidates)
    }

    /// Embeds the most likely candidate of each picture, all in one batch.
    pub(crate) fn embed_firsts<F>(
        &mut self,
        context: &mut Context,
        searched: &[Result<Searched<'_>, F>],
    ) -> Result<Vec<Option<Embedded>>, InferenceError> {
        let mut aligned = Vec::new();
        for found in searched {
            aligned.push(match found {
                Ok(Searched { picture, candidates, .. }) if !candidates.is_empty() => {
                    Some(self.align(context, picture, &candidates[0])?)
                }
                _ => None,
            });
        }
        context.timed(Stage::Embed, |_| {
            let chips: Vec<&Chip> = aligned.iter().flatten().map(|(_, chip)| chip).collect();
            let mut embeddings = self.embedder.embed(&chips)?.into_iter();
            let mut with_embedding =
                |(candidate, chip)| Some(Embedded { candidate, chip, embedding: embeddings.next()? });
            Ok(aligned.into_iter().map(|one| one.and_then(&mut with_embedding)).collect())
        })
    }

    /// Decodes the picture again at a finer scale if the face is too coarse in it, and embeds the face from there.
    pub(crate) fn refine_scale(
        &mut self,
        context: &mut Context,
        source: &mut Source<'_>,
        picture: Picture,
        embedded: Embedded,
    ) -> Result<(Picture, Embedded), PipelineFault> {
        let Some(side) = finer_side(&picture, &embedded.candidate, FINE_EYE_PIXELS) else {
            return Ok((picture, embedded));
        };
        let finer = context.timed(Stage::Decode, |_| source.decode(side))?;
        let embedded = self.embed(context, &finer, &embedded.candidate)?;
        Ok((finer, embedded))
    }

    /// Embeds aligned faces in one batch.
    pub(crate) fn embed_chips(
        &mut self,
        context: &mut Context,
        chips: &[&Chip],
    ) -> Result<Vec<FaceEmbedding>, InferenceError> {
        context.timed(Stage::Embed, |_| self.embedder.embed(chips))
    }

    /// Finds a candidate's landmarks precisely and embeds the face.
    pub(crate) fn embed(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<Embedded, InferenceError> {
        let (candidate, chip) = self.align(context, picture, candidate)?;
        let embeddings = self.embed_chips(context, &[&chip])?;
        Ok(Embedded { candidate, chip, embedding: embeddings.into_iter().next().unwrap_or_default() })
    }

    /// Finds a candidate's landmarks precisely and cuts out the aligned face.
    fn align(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<(Candidate, Chip), InferenceError> {
        let candidate = self.finder.refine(context, picture, candidate)?;
        let five = candidate.in_picture(picture).five();
        let chip = context.timed(Stage::Embed, |sampler| self.embedder.align(sampler, picture, &five));
        Ok((candidate, chip))
    }
}

/// The longer side at which the picture must be decoded again for the eyes to be at least `min_eye_pixels` decoded
/// pixels apart; `None` where they are already, or the picture has no finer scale.
pub(crate) fn finer_side(picture: &Picture, candidate: &Candidate, min_eye_pixels: f32) -> Option<u32> {
    let eyes = candidate.eye_distance();
    let (width, height) = picture.size();
    (picture.scale() < 1.0 && eyes * picture.scale() < min_eye_pixels)
        .then(|| (width.max(height) as f32 * min_eye_pixels / eyes).ceil() as u32)
}
