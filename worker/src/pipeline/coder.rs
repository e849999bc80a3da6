//! One inference thread's models, and the way of a picture through them.

use std::time::Duration;

use faceline_shared::face::ImageType;
use faceline_shared::settings::FindingSettings;

use super::age::AgeEstimator;
use super::candidate::Candidate;
use super::coding::{AgedFace, Coded, CodedFace, CodingFault, CodingOptions};
use super::drawing::is_drawn;
use super::embedder::{Embedder, Embedding};
use super::evidence::Evidence;
use super::finder::Finder;
use super::frame::{Frame, Turn};
use super::lazy::Lazy;
use super::liveness::PassiveLiveness;
use super::models::Models;
use super::quality::{Measures, quality};
use super::times::{StageTimes, timed};
use crate::inference::InferenceError;
use crate::picture::{Chip, Limits, Picture, PictureFault, Sampler, Source, compress, eighths};

/// Pixels of a large picture's longer side that faces are looked for in.
const SEARCH_SIDE: u32 = 1000;

/// Eye distance, in decoded pixels, below which a face is decoded again at a finer scale. The embedding's template
/// has 35.
const FINE_EYES: f32 = 48.0;

/// The same for the age, whose model sees faces larger: with 66 pixels between the eyes.
const AGE_EYES: f32 = 80.0;

/// Eye distance, in received pixels, below which there is nothing to tell people by.
const LEAST_EYES: f32 = 8.0;

/// Conviction that a face in a tile must bring: it had nine times the chances of being wrong.
const TILE_CONVICTION: f32 = 3.0;

/// Uprightness from which on turning the picture is no question.
const UPRIGHT: f32 = 1.0;

/// The scale, in eighths, at which faces are looked for in a JPEG of this size.
#[must_use]
pub fn search_eighths(width: u32, height: u32) -> u8 {
    eighths(width, height, SEARCH_SIDE)
}

/// What a pipeline is told by the configuration.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// What a picture may cost.
    pub limits: Limits,
    /// A second face counts from this part of the largest one's eye distance on.
    pub second_face: f32,
    /// The same in a photo that live pictures are compared with.
    pub second_portrait: f32,
    /// What is wrong with a live picture.
    pub findings: FindingSettings,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            second_face: 0.5,
            second_portrait: 0.75,
            findings: FindingSettings::default(),
        }
    }
}

/// Codes pictures. Owns its models: one for each inference thread.
pub struct Pipeline {
    pub(super) finder: Finder,
    pub(super) embedder: Embedder,
    ages: Lazy<AgeEstimator>,
    pub(super) liveness: Lazy<PassiveLiveness>,
    pub(super) sampler: Sampler,
    pub(super) settings: PipelineSettings,
}

/// Which of several faces is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Choice {
    /// All that count, from this part of the largest one's eye distance on.
    All(f32),
    /// The only one that counts.
    Only,
    /// The largest.
    Largest,
    /// The one nearest to the picture's centre.
    Central,
}

/// A candidate with precise landmarks, cut out and embedded.
pub(super) struct Embedded {
    pub(super) candidate: Candidate,
    pub(super) chip: Chip,
    pub(super) embedding: Embedding,
}

/// A candidate that is a face.
pub(super) struct Face {
    pub(super) embedded: Embedded,
    evidence: Evidence,
}

impl Face {
    pub(super) fn candidate(&self) -> &Candidate {
        &self.embedded.candidate
    }
}

/// The face that is meant, with the picture at a scale that shows it well.
struct Located<'b> {
    source: Source<'b>,
    picture: Picture,
    embedded: Embedded,
}

/// A picture on its way, after the search of the whole.
pub(super) struct Searched<'b> {
    pub(super) source: Source<'b>,
    pub(super) picture: Picture,
    /// The likeliest first.
    candidates: Vec<Candidate>,
    choice: Choice,
    rotate: bool,
}

impl Pipeline {
    /// Loads the models.
    ///
    /// # Errors
    /// A model does not load, is not what the manifest says, or the device is not there.
    pub fn new(models: &Models, settings: PipelineSettings) -> Result<Self, InferenceError> {
        Ok(Self {
            finder: Finder::open(models)?,
            embedder: Embedder::open(&models.runtime, models.device, &models.embedding())?,
            ages: Lazy::new(models, Models::open_age_model),
            liveness: Lazy::new(models, Models::open_liveness_model),
            sampler: Sampler::default(),
            settings,
        })
    }

    /// Runs every model that codes once, so that the first caller does not pay for what they set up.
    ///
    /// # Errors
    /// A model does not run.
    pub fn warm_up(&mut self) -> Result<(), CodingFault> {
        const PLAIN: &[u8] = b"P5 2 2 255\n\x7f\x7f\x7f\x7f";
        let picture = Source::open(PLAIN, &Limits::default())?.decode(SEARCH_SIDE)?;
        self.finder.warm_up(&mut self.sampler, &picture)?;
        let five = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [1.0, 1.0]];
        let chip = self.embedder.align(&mut self.sampler, &picture, &five);
        self.embedder.embed(&[&chip])?;
        Ok(())
    }

    /// Time that all models have run so far, for benchmarks: the rest of the stages is what is done around them.
    #[must_use]
    pub fn model_time(&self) -> Duration {
        self.finder.busy() + self.embedder.busy() + self.ages.busy() + self.liveness.busy()
    }

    /// Codes one picture.
    ///
    /// # Errors
    /// The picture cannot be decoded or shows several faces, or a model fails.
    pub fn code(
        &mut self,
        picture: &[u8],
        options: CodingOptions,
        times: &mut StageTimes,
    ) -> Result<Coded, CodingFault> {
        let searched = self.search(picture, choice(options.image_type), options.rotate, times)?;
        self.finish(searched, None, times)
    }

    /// Codes several pictures with one run of the embedding; each has the result that it has alone.
    pub fn code_all(
        &mut self,
        pictures: &[(&[u8], CodingOptions)],
        times: &mut StageTimes,
    ) -> Vec<Result<Coded, CodingFault>> {
        let mut searched: Vec<_> = pictures
            .iter()
            .map(|(bytes, options)| self.search(bytes, choice(options.image_type), options.rotate, times))
            .collect();
        // Where this fails, each picture is tried alone and fails for its own reason.
        let firsts = self.embed_firsts(&mut searched, times).unwrap_or_default();
        let firsts = firsts.into_iter().chain(std::iter::repeat_with(|| None));
        searched.into_iter().zip(firsts).map(|(found, first)| self.finish(found?, first, times)).collect()
    }

    /// Embeds the likeliest candidate of each picture in one batch.
    pub(super) fn embed_firsts(
        &mut self,
        searched: &mut [Result<Searched<'_>, CodingFault>],
        times: &mut StageTimes,
    ) -> Result<Vec<Option<Embedded>>, InferenceError> {
        let mut aligned = Vec::new();
        for found in searched {
            aligned.push(match found {
                Ok(Searched { picture, candidates, .. }) if !candidates.is_empty() => {
                    Some(self.align(picture, &candidates[0], times)?)
                }
                _ => None,
            });
        }
        timed(&mut times.embed, || {
            let chips: Vec<&Chip> = aligned.iter().flatten().map(|(_, chip)| chip).collect();
            let mut embeddings = self.embedder.embed(&chips)?.into_iter();
            let mut with_embedding =
                |(candidate, chip)| Some(Embedded { candidate, chip, embedding: embeddings.next()? });
            Ok(aligned.into_iter().map(|one| one.and_then(&mut with_embedding)).collect())
        })
    }

    /// Makes a picture a JPEG of the received size, upright and without metadata. No model runs.
    ///
    /// # Errors
    /// The picture cannot be decoded.
    pub fn compress(&self, picture: &[u8], times: &mut StageTimes) -> Result<Vec<u8>, PictureFault> {
        timed(&mut times.decode, || compress(picture, &self.settings.limits))
    }

    /// Codes the face nearest to the picture's centre, whoever else is in it: for data sets that mean that one.
    ///
    /// # Errors
    /// The picture cannot be decoded, or a model fails.
    pub fn code_central(&mut self, picture: &[u8], times: &mut StageTimes) -> Result<Coded, CodingFault> {
        let searched = self.search(picture, Choice::Central, false, times)?;
        self.finish(searched, None, times)
    }

    /// Decodes a picture and looks for faces in it as a whole.
    pub(super) fn search<'b>(
        &mut self,
        bytes: &'b [u8],
        choice: Choice,
        rotate: bool,
        times: &mut StageTimes,
    ) -> Result<Searched<'b>, CodingFault> {
        let (source, picture) = timed(&mut times.decode, || {
            let mut source = Source::open(bytes, &self.settings.limits)?;
            let picture = source.decode(SEARCH_SIDE)?;
            Ok::<_, PictureFault>((source, picture))
        })?;
        let frame = Frame::new(&picture, Turn::None);
        let mut candidates = self.finder.whole(&mut self.sampler, &picture, &frame, times)?;
        order(&mut candidates, choice);
        Ok(Searched { source, picture, candidates, choice, rotate })
    }

    /// Goes on from the search of the whole. `first` may bring the first candidate's embedding.
    fn finish(
        &mut self,
        searched: Searched<'_>,
        first: Option<Embedded>,
        times: &mut StageTimes,
    ) -> Result<Coded, CodingFault> {
        let Some(Located { embedded: Embedded { candidate, chip, embedding }, .. }) =
            self.locate(searched, first, times)?
        else {
            return Ok(Coded { face: None, turn: Turn::None });
        };
        let measures = Measures::new(&candidate, &chip, embedding.norm);
        Ok(Coded {
            turn: candidate.frame.turn,
            face: Some(CodedFace {
                quality: quality(&measures),
                measures,
                eyes: candidate.eyes(),
                bounding_box: candidate.bounding_box(),
                embedding: embedding.vector,
                score: candidate.detection.score,
            }),
        })
    }

    /// Finds the face that is meant, and looks at it closely.
    fn locate<'b>(
        &mut self,
        searched: Searched<'b>,
        first: Option<Embedded>,
        times: &mut StageTimes,
    ) -> Result<Option<Located<'b>>, CodingFault> {
        let found = self.find(&searched, first, times)?.into_iter().next();
        let Some(Face { embedded, .. }) = found else { return Ok(None) };
        let Searched { mut source, picture, .. } = searched;
        let (picture, embedded) = self.look_closely(&mut source, picture, embedded, times)?;
        Ok(Some(Located { source, picture, embedded }))
    }

    /// Decodes the picture again where the face would be too coarse in it.
    pub(super) fn look_closely(
        &mut self,
        source: &mut Source<'_>,
        picture: Picture,
        embedded: Embedded,
        times: &mut StageTimes,
    ) -> Result<(Picture, Embedded), CodingFault> {
        let Some(side) = finer(&picture, &embedded.candidate, FINE_EYES) else {
            return Ok((picture, embedded));
        };
        let finer = timed(&mut times.decode, || source.decode(side))?;
        let embedded = self.embed(&finer, &embedded.candidate, times)?;
        Ok((finer, embedded))
    }

    /// Estimates the age of whom [`Self::code`] would code.
    ///
    /// # Errors
    /// The picture cannot be decoded or shows several faces, or a model fails.
    pub fn estimate_age(
        &mut self,
        picture: &[u8],
        options: CodingOptions,
        times: &mut StageTimes,
    ) -> Result<Option<AgedFace>, CodingFault> {
        let searched = self.search(picture, choice(options.image_type), options.rotate, times)?;
        self.finish_age(searched, false, times)
    }

    /// Estimates the age of the face nearest to the picture's centre, whoever else is in it and whatever its quality:
    /// for data sets that mean that one.
    ///
    /// # Errors
    /// The picture cannot be decoded, or a model fails.
    pub fn estimate_central_age(
        &mut self,
        picture: &[u8],
        times: &mut StageTimes,
    ) -> Result<Option<AgedFace>, CodingFault> {
        let searched = self.search(picture, Choice::Central, false, times)?;
        self.finish_age(searched, true, times)
    }

    /// Goes on from the search of the whole. Where the quality is negative an age is a guess, and is made only if
    /// `anyway`.
    fn finish_age(
        &mut self,
        searched: Searched<'_>,
        anyway: bool,
        times: &mut StageTimes,
    ) -> Result<Option<AgedFace>, CodingFault> {
        let Some(Located { mut source, mut picture, embedded }) = self.locate(searched, None, times)? else {
            return Ok(None);
        };
        let Embedded { candidate, chip, embedding } = embedded;
        let quality = quality(&Measures::new(&candidate, &chip, embedding.norm));
        if quality < 0 && !anyway {
            return Ok(Some(AgedFace { quality, age: None }));
        }
        if let Some(side) = finer(&picture, &candidate, AGE_EYES) {
            picture = timed(&mut times.decode, || source.decode(side))?;
        }
        let ages = self.ages.get()?;
        let age = timed(&mut times.age, || ages.estimate(&mut self.sampler, &picture, &candidate))?;
        Ok(Some(AgedFace { quality, age: Some(age) }))
    }

    /// Searches on, ever more thoroughly, until somebody is found. `first` may bring the first candidate's embedding.
    pub(super) fn find(
        &mut self,
        searched: &Searched<'_>,
        first: Option<Embedded>,
        times: &mut StageTimes,
    ) -> Result<Vec<Face>, CodingFault> {
        let &Searched { ref picture, ref candidates, choice, rotate, .. } = searched;
        let upright = Frame::new(picture, Turn::None);
        let mut faces = self.choose(picture, candidates, first, choice, times)?;
        if rotate {
            faces = self.turn(picture, faces, choice, times)?;
        }
        if faces.is_empty() {
            let mut larger = self.finder.larger_than_frame(&mut self.sampler, picture, &upright, times)?;
            order(&mut larger, choice);
            faces = self.choose(picture, &larger, None, choice, times)?;
        }
        if faces.is_empty() {
            let mut dark = self.finder.in_the_dark(&mut self.sampler, picture, &upright, times)?;
            order(&mut dark, choice);
            faces = self.choose(picture, &dark, None, choice, times)?;
        }
        match faces.first().map(Face::candidate) {
            Some(largest) if largest.frame.turn != Turn::None || self.finder.is_plain(largest) => Ok(faces),
            // Nobody, or somebody so small that others of that size may have been overlooked.
            _ => self.close_up(picture, faces, choice, times),
        }
    }

    /// Tries the other ways to hold the picture, unless a face stands upright already.
    fn turn(
        &mut self,
        picture: &Picture,
        mut best: Vec<Face>,
        choice: Choice,
        times: &mut StageTimes,
    ) -> Result<Vec<Face>, CodingFault> {
        let uprightness = |faces: &[Face]| faces.first().map(|face| face.evidence.uprightness());
        if uprightness(&best).is_some_and(|known| known >= UPRIGHT) {
            return Ok(best);
        }
        for turn in Turn::OTHERS {
            let frame = Frame::new(picture, turn);
            let mut turned = self.finder.whole(&mut self.sampler, picture, &frame, times)?;
            order(&mut turned, choice);
            let faces = self.choose(picture, &turned, None, choice, times)?;
            if uprightness(&faces) > uprightness(&best) {
                best = faces;
            }
        }
        Ok(best)
    }

    /// Looks for small faces, besides those that may be known.
    fn close_up(
        &mut self,
        picture: &Picture,
        known: Vec<Face>,
        choice: Choice,
        times: &mut StageTimes,
    ) -> Result<Vec<Face>, CodingFault> {
        let upright = Frame::new(picture, Turn::None);
        let mut small = self.finder.close_up(&mut self.sampler, picture, &upright, times)?;
        for face in &known {
            let area = face.candidate().detection.area;
            small.retain(|candidate| candidate.detection.area.overlap(&area) == 0.0);
        }
        order(&mut small, choice);
        let mut found = self.choose(picture, &small, None, choice, times)?;
        found.retain(|face| face.evidence.conviction() >= TILE_CONVICTION);
        if !matches!(choice, Choice::All(_) | Choice::Only) {
            return Ok(if known.is_empty() { found } else { known });
        }
        let mut faces = known;
        faces.extend(found);
        let size = |face: &Face| face.candidate().eye_distance();
        let least = faces.iter().map(size).fold(0.0, f32::max) * self.second_face(choice);
        if choice == Choice::Only {
            let several = faces.len() > 1 && faces.iter().all(|face| size(face) >= least);
            faces.truncate(1);
            return if several { Err(CodingFault::SeveralFaces) } else { Ok(faces) };
        }
        faces.retain(|face| size(face) >= least);
        faces.sort_by(|a, b| size(b).total_cmp(&size(a)));
        Ok(faces)
    }

    /// The candidates that are faces, in their order and as many as are meant.
    fn choose(
        &mut self,
        picture: &Picture,
        candidates: &[Candidate],
        mut first: Option<Embedded>,
        choice: Choice,
        times: &mut StageTimes,
    ) -> Result<Vec<Face>, CodingFault> {
        let mut chosen: Vec<Face> = Vec::new();
        for candidate in candidates {
            let known = first.take();
            let least =
                chosen.first().map_or(0.0, |face| face.candidate().eye_distance()) * self.second_face(choice);
            if candidate.eye_distance() < least.max(LEAST_EYES) {
                continue;
            }
            let Some(face) = self.confirm(picture, candidate, known, times)? else { continue };
            chosen.push(face);
            match choice {
                Choice::Only if chosen.len() > 1 => return Err(CodingFault::SeveralFaces),
                Choice::Only | Choice::All(_) => {}
                Choice::Largest | Choice::Central => break,
            }
        }
        Ok(chosen)
    }

    /// The part of the largest face's eye distance from which on another one counts.
    fn second_face(&self, choice: Choice) -> f32 {
        if let Choice::All(ratio) = choice { ratio } else { self.settings.second_face }
    }

    /// Whether a candidate is a face; its embedding may be known.
    fn confirm(
        &mut self,
        picture: &Picture,
        candidate: &Candidate,
        known: Option<Embedded>,
        times: &mut StageTimes,
    ) -> Result<Option<Face>, InferenceError> {
        let embedded = match known {
            Some(known) => known,
            None => self.embed(picture, candidate, times)?,
        };
        let mut evidence = Evidence::new(candidate, embedded.embedding.norm, &[]);
        if !evidence.is_sure() {
            let probes = self.finder.probe(&mut self.sampler, picture, candidate, times)?;
            evidence = Evidence::new(candidate, embedded.embedding.norm, &probes);
            if !evidence.is_face() {
                return Ok(None);
            }
        }
        Ok((!is_drawn(&embedded.chip)).then_some(Face { embedded, evidence }))
    }

    fn embed(
        &mut self,
        picture: &Picture,
        candidate: &Candidate,
        times: &mut StageTimes,
    ) -> Result<Embedded, InferenceError> {
        let (candidate, chip) = self.align(picture, candidate, times)?;
        let embeddings = timed(&mut times.embed, || self.embedder.embed(&[&chip]))?;
        Ok(Embedded { candidate, chip, embedding: embeddings.into_iter().next().unwrap_or_default() })
    }

    /// Finds a candidate's landmarks precisely and cuts it out.
    fn align(
        &mut self,
        picture: &Picture,
        candidate: &Candidate,
        times: &mut StageTimes,
    ) -> Result<(Candidate, Chip), InferenceError> {
        let candidate = self.finder.refine(&mut self.sampler, picture, candidate, times)?;
        let chip =
            timed(&mut times.embed, || self.embedder.align(&mut self.sampler, picture, &candidate.five()));
        Ok((candidate, chip))
    }
}

/// The longer side at which a picture is to be decoded again, so that the eyes are this many decoded pixels apart.
fn finer(picture: &Picture, candidate: &Candidate, least: f32) -> Option<u32> {
    let eyes = candidate.eye_distance();
    let (width, height) = picture.size();
    (picture.scale() < 1.0 && eyes * picture.scale() < least)
        .then(|| (width.max(height) as f32 * least / eyes).ceil() as u32)
}

fn choice(image_type: ImageType) -> Choice {
    match image_type {
        ImageType::IdDocument => Choice::Largest,
        ImageType::Selfie | ImageType::VideoFrame => Choice::Only,
    }
}

/// The likeliest first: the largest, or the one nearest to the centre.
fn order(candidates: &mut [Candidate], choice: Choice) {
    let rank = |candidate: &Candidate| {
        if choice == Choice::Central {
            let [x, y] = candidate.detection.area.centre();
            (x - candidate.frame.width / 2.0).hypot(y - candidate.frame.height / 2.0)
        } else {
            -candidate.eye_distance()
        }
    };
    candidates.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
}
