//! One inference thread's models, and the way of a picture through them.

use faceline_shared::face::ImageType;

use super::candidate::Candidate;
use super::coding::{Coded, CodedFace, CodingFault, CodingOptions};
use super::drawing::is_drawn;
use super::embedder::{Embedder, Embedding};
use super::evidence::Evidence;
use super::finder::Finder;
use super::frame::{Frame, Turn};
use super::models::Models;
use super::quality::quality;
use super::times::{StageTimes, timed};
use crate::inference::InferenceError;
use crate::picture::{Chip, Limits, Picture, PictureFault, Sampler, Source};

/// Pixels of a large picture's longer side that faces are looked for in.
const SEARCH_SIDE: u32 = 1000;

/// Eye distance, in decoded pixels, below which a face is decoded again at a finer scale. The embedding's template
/// has 35.
const FINE_EYES: f32 = 48.0;

/// Eye distance, in received pixels, below which there is nothing to tell people by.
const LEAST_EYES: f32 = 8.0;

/// Evidence that a tile must bring: it has had nine times the chances of being wrong.
const TILE_STRENGTH: f32 = 0.0;

/// Evidence from which on a face stands upright for sure, so that turning the picture is no question.
const UPRIGHT_STRENGTH: f32 = 1.0;

/// What a pipeline is told by the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What a picture may cost.
    pub limits: Limits,
    /// A second face counts from this part of the largest one's eye distance on.
    pub second_face: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), second_face: 0.5 }
    }
}

/// Codes pictures. Owns its models: one for each inference thread.
pub struct Pipeline {
    finder: Finder,
    embedder: Embedder,
    sampler: Sampler,
    settings: Settings,
}

/// Which of several faces is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Choice {
    /// The only one that counts.
    Only,
    /// The largest.
    Largest,
    /// The one nearest to the picture's centre.
    Central,
}

/// A candidate that is a face.
struct Face {
    candidate: Candidate,
    chip: Chip,
    embedding: Embedding,
    evidence: Evidence,
}

/// A picture on its way, after the search of the whole.
struct Searched<'b> {
    source: Source<'b>,
    picture: Picture,
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
    pub fn new(models: &Models, settings: Settings) -> Result<Self, InferenceError> {
        Ok(Self {
            finder: Finder::open(models)?,
            embedder: Embedder::open(&models.runtime, models.device, &models.embedding())?,
            sampler: Sampler::default(),
            settings,
        })
    }

    /// Runs every model once, so that the first caller does not pay for what they set up.
    ///
    /// # Errors
    /// A model does not run.
    pub fn warm_up(&mut self) -> Result<(), CodingFault> {
        const PLAIN: &[u8] = b"P5 2 2 255\n\x7f\x7f\x7f\x7f";
        let picture = Source::open(PLAIN, &Limits::default())?.decode(SEARCH_SIDE)?;
        self.finder.warm_up(&mut self.sampler, &picture)?;
        let mut chip = Chip::default();
        let five = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [1.0, 1.0]];
        self.embedder.align(&mut self.sampler, &picture, &five, &mut chip);
        self.embedder.embed(&[chip])?;
        Ok(())
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
        let searched: Vec<_> = pictures
            .iter()
            .map(|(bytes, options)| self.search(bytes, choice(options.image_type), options.rotate, times))
            .collect();
        let embedded = timed(&mut times.embed, || {
            let first = |found: &Result<Searched<'_>, CodingFault>| {
                let found = found.as_ref().ok()?;
                found.candidates.first().map(|candidate| self.align(&found.picture, candidate))
            };
            let chips: Vec<Option<Chip>> = searched.iter().map(first).collect();
            let batch: Vec<Chip> = chips.iter().flatten().cloned().collect();
            let embeddings = self.embedder.embed(&batch)?;
            let mut embeddings = embeddings.into_iter();
            let pair = |chip: Option<Chip>| chip.and_then(|chip| Some((chip, embeddings.next()?)));
            Ok::<_, InferenceError>(chips.into_iter().map(pair).collect::<Vec<_>>())
        });
        // Where the batch fails, each picture is tried alone and fails for its own reason.
        let embedded = embedded.unwrap_or_else(|_| searched.iter().map(|_| None).collect());
        searched.into_iter().zip(embedded).map(|(found, first)| self.finish(found?, first, times)).collect()
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
    fn search<'b>(
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
        first: Option<(Chip, Embedding)>,
        times: &mut StageTimes,
    ) -> Result<Coded, CodingFault> {
        let Searched { mut source, picture, candidates, choice, rotate } = searched;
        let found = self.find(&picture, &candidates, first, choice, rotate, times)?;
        let Some(mut face) = found else {
            return Ok(Coded { face: None, turn: Turn::None });
        };
        let eyes = face.candidate.eye_distance();
        if picture.scale() < 1.0 && eyes * picture.scale() < FINE_EYES {
            let (width, height) = picture.size();
            let side = (width.max(height) as f32 * FINE_EYES / eyes).ceil();
            let finer = timed(&mut times.decode, || source.decode(side as u32))?;
            face = self.again(&finer, &face, times)?;
        }
        let candidate = &face.candidate;
        let score = candidate.detection.score;
        Ok(Coded {
            turn: candidate.frame.turn,
            face: Some(CodedFace {
                quality: quality(candidate.eye_distance(), score, &face.chip),
                eyes: candidate.eyes(),
                bounding_box: candidate.bounding_box(),
                embedding: face.embedding.vector,
                score,
            }),
        })
    }

    /// Searches on, ever more thoroughly, until somebody is found.
    fn find(
        &mut self,
        picture: &Picture,
        candidates: &[Candidate],
        first: Option<(Chip, Embedding)>,
        choice: Choice,
        rotate: bool,
        times: &mut StageTimes,
    ) -> Result<Option<Face>, CodingFault> {
        let upright = Frame::new(picture, Turn::None);
        let mut best = self.choose(picture, candidates, first, choice, f32::NEG_INFINITY, times)?;
        if rotate && !best.as_ref().is_some_and(|face| face.evidence.strength() >= UPRIGHT_STRENGTH) {
            for turn in Turn::OTHERS {
                let frame = Frame::new(picture, turn);
                let mut turned = self.finder.whole(&mut self.sampler, picture, &frame, times)?;
                order(&mut turned, choice);
                let least = best.as_ref().map_or(f32::NEG_INFINITY, |face| face.evidence.strength());
                if let Some(better) = self.choose(picture, &turned, None, choice, least, times)? {
                    best = Some(better);
                }
            }
        }
        if let Some(face) = &best
            && (face.candidate.frame.turn != Turn::None || self.finder.is_plain(&face.candidate))
        {
            return Ok(best);
        }
        if best.is_none() {
            let mut afar = self.finder.larger_than_frame(&mut self.sampler, picture, &upright, times)?;
            order(&mut afar, choice);
            best = self.choose(picture, &afar, None, choice, f32::NEG_INFINITY, times)?;
            if best.is_some() {
                return Ok(best);
            }
        }
        // Nobody, or somebody so small that others of that size may have been overlooked.
        let mut small = self.finder.close_up(&mut self.sampler, picture, &upright, times)?;
        if let Some(known) = &best {
            let area = known.candidate.detection.area;
            small.retain(|candidate| candidate.detection.area.overlap(&area) == 0.0);
        }
        order(&mut small, choice);
        let other = self.choose(picture, &small, None, choice, TILE_STRENGTH, times)?;
        let (Some(known), Some(other)) = (&best, &other) else { return Ok(best.or(other)) };
        let (known_eyes, other_eyes) = (known.candidate.eye_distance(), other.candidate.eye_distance());
        let (larger, smaller) = (known_eyes.max(other_eyes), known_eyes.min(other_eyes));
        if choice == Choice::Only && smaller >= larger * self.settings.second_face {
            return Err(CodingFault::SeveralFaces);
        }
        Ok(best)
    }

    /// The first of the candidates that is a face, with at least the given strength.
    fn choose(
        &mut self,
        picture: &Picture,
        candidates: &[Candidate],
        mut first: Option<(Chip, Embedding)>,
        choice: Choice,
        strength: f32,
        times: &mut StageTimes,
    ) -> Result<Option<Face>, CodingFault> {
        let mut chosen: Option<Face> = None;
        for candidate in candidates {
            let eyes = candidate.eye_distance();
            let least = chosen.as_ref().map_or(LEAST_EYES, |face| {
                (face.candidate.eye_distance() * self.settings.second_face).max(LEAST_EYES)
            });
            let known = first.take();
            if eyes < least {
                continue;
            }
            let Some(face) = self.examine(picture, candidate, known, times)? else { continue };
            if face.evidence.strength() < strength {
                continue;
            }
            if chosen.is_some() {
                return Err(CodingFault::SeveralFaces);
            }
            chosen = Some(face);
            if choice != Choice::Only {
                break;
            }
        }
        Ok(chosen)
    }

    /// Whether a candidate is a face; its embedding may be known.
    fn examine(
        &mut self,
        picture: &Picture,
        candidate: &Candidate,
        known: Option<(Chip, Embedding)>,
        times: &mut StageTimes,
    ) -> Result<Option<Face>, InferenceError> {
        let (chip, embedding) = match known {
            Some(known) => known,
            None => timed(&mut times.embed, || self.embed(picture, candidate))?,
        };
        let mut evidence = Evidence::new(candidate, embedding.norm, &[]);
        if !evidence.is_sure() {
            let probes = self.finder.probe(&mut self.sampler, picture, candidate, times)?;
            evidence = Evidence::new(candidate, embedding.norm, &probes);
            if !evidence.is_face() {
                return Ok(None);
            }
        }
        if is_drawn(&chip) {
            return Ok(None);
        }
        Ok(Some(Face { candidate: candidate.clone(), chip, embedding, evidence }))
    }

    /// A face in another decoding of its picture.
    fn again(
        &mut self,
        picture: &Picture,
        face: &Face,
        times: &mut StageTimes,
    ) -> Result<Face, InferenceError> {
        let candidate = self.finder.refine(&mut self.sampler, picture, &face.candidate, times)?;
        let (chip, embedding) = timed(&mut times.embed, || self.embed(picture, &candidate))?;
        Ok(Face { candidate, chip, embedding, evidence: face.evidence })
    }

    fn embed(
        &mut self,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<(Chip, Embedding), InferenceError> {
        let chips = [self.align(picture, candidate)];
        let embedding = self.embedder.embed(&chips)?.into_iter().next();
        let [chip] = chips;
        Ok((chip, embedding.unwrap_or_default()))
    }

    fn align(&mut self, picture: &Picture, candidate: &Candidate) -> Chip {
        let mut chip = Chip::default();
        self.embedder.align(&mut self.sampler, picture, &candidate.five(), &mut chip);
        chip
    }
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
