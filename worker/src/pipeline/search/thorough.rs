//! A search that becomes more thorough until it finds a face.

use super::candidate::Candidate;
use super::choice::Choice;
use super::drawing::is_drawn;
use super::evidence::Evidence;
use super::found::{Embedded, FoundFace, Searched};
use super::searcher::Searcher;
use crate::inference::InferenceError;
use crate::picture::Picture;
use crate::pipeline::context::Context;
use crate::pipeline::fault::PipelineFault;
use crate::pipeline::geometry::{FramedPicture, Rotation};

/// Below this eye distance, in received pixels, a face has no detail that distinguishes people.
const MIN_EYE_PIXELS: f32 = 8.0;

/// Conviction that a face found in a tile must have. It is higher than elsewhere, since nine tiles have nine times the
/// chances of a false detection.
const MIN_TILE_CONVICTION: f32 = 3.0;

/// Minimum uprightness at which a face counts as upright, and no rotation is tried.
const MIN_UPRIGHTNESS: f32 = 1.0;

impl Searcher {
    /// Finds the selected faces, after the search of the whole picture. `first` is the first candidate's
    /// embedding if it is known already.
    ///
    /// # Errors
    /// [`PipelineFault::SeveralFaces`] if one face is expected, [`PipelineFault::Inference`] if a model fails.
    pub(crate) fn find(
        &mut self,
        context: &mut Context,
        searched: &Searched<'_>,
        first: Option<Embedded>,
    ) -> Result<Vec<FoundFace>, PipelineFault> {
        let &Searched { ref picture, ref candidates, found_at_half_size, choice, rotate, .. } = searched;
        let [only_candidate] = candidates.as_slice() else {
            return self.find_among(context, picture, candidates, first, choice, rotate);
        };
        if !found_at_half_size {
            return self.find_among(context, picture, candidates, first, choice, rotate);
        }
        let embedded = match first {
            Some(known) => known,
            None => self.embed(context, picture, only_candidate)?,
        };
        let evidence = Evidence::new(only_candidate, embedded.embedding.norm, &[]);
        let is_upright = !rotate || evidence.uprightness() >= MIN_UPRIGHTNESS;
        if evidence.is_sure() && is_upright && !is_drawn(&embedded.chip) {
            return Ok(vec![FoundFace { embedded, evidence }]);
        }
        let candidates = self.search(context, &FramedPicture::new(picture, Rotation::None), choice)?;
        self.find_among(context, picture, &candidates, None, choice, rotate)
    }

    /// As [`Self::find`], after a search of the whole picture that found `candidates`, the most likely one first.
    fn find_among(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidates: &[Candidate],
        first: Option<Embedded>,
        choice: Choice,
        rotate: bool,
    ) -> Result<Vec<FoundFace>, PipelineFault> {
        let upright = FramedPicture::new(picture, Rotation::None);
        let mut faces = self.choose(context, picture, candidates, first, choice)?;
        if rotate {
            faces = self.try_rotations(context, picture, faces, choice)?;
        }
        if faces.is_empty() {
            let mut larger = self.finder.larger_than_frame(context, &upright)?;
            choice.sort(&mut larger);
            faces = self.choose(context, picture, &larger, None, choice)?;
        }
        if faces.is_empty() {
            let mut dark = self.finder.equalised(context, &upright)?;
            choice.sort(&mut dark);
            faces = self.choose(context, picture, &dark, None, choice)?;
        }
        match faces.first().map(FoundFace::candidate) {
            Some(largest) if largest.frame.rotation != Rotation::None || self.finder.is_plain(largest) => {
                Ok(faces)
            }
            // There is no face, or one so small that others of its size may have been overlooked.
            _ => self.close_up(context, &upright, faces, choice),
        }
    }

    /// Finds the faces of a decoded picture, the largest first. `rotate` says whether they may lie on their side or
    /// upside down.
    ///
    /// # Errors
    /// [`PipelineFault::Inference`] if a model fails.
    pub(crate) fn find_all(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        rotate: bool,
    ) -> Result<Vec<Embedded>, PipelineFault> {
        let choice = Choice::All(context.settings.second_live_face);
        let mut candidates = self.finder.whole(context, &FramedPicture::new(picture, Rotation::None))?;
        choice.sort(&mut candidates);
        let found = self.find_among(context, picture, &candidates, None, choice, rotate)?;
        Ok(found.into_iter().map(|face| face.embedded).collect())
    }

    /// Searches the picture in the other rotations, unless a face stands upright already. Keeps the faces that stand
    /// most upright.
    fn try_rotations(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        mut best: Vec<FoundFace>,
        choice: Choice,
    ) -> Result<Vec<FoundFace>, PipelineFault> {
        let uprightness = |faces: &[FoundFace]| faces.first().map(|face| face.evidence.uprightness());
        if uprightness(&best).is_some_and(|known| known >= MIN_UPRIGHTNESS) {
            return Ok(best);
        }
        for rotation in Rotation::OTHERS {
            let rotated = FramedPicture::new(picture, rotation);
            let mut candidates = self.finder.whole(context, &rotated)?;
            choice.sort(&mut candidates);
            let faces = self.choose(context, picture, &candidates, None, choice)?;
            if uprightness(&faces) > uprightness(&best) {
                best = faces;
            }
        }
        Ok(best)
    }

    /// Searches tiles of the picture for small faces, in addition to the known ones.
    fn close_up(
        &mut self,
        context: &mut Context,
        upright: &FramedPicture<'_>,
        known: Vec<FoundFace>,
        choice: Choice,
    ) -> Result<Vec<FoundFace>, PipelineFault> {
        let mut small = self.finder.close_up(context, upright)?;
        for face in &known {
            let area = face.candidate().detection.area;
            small.retain(|candidate| candidate.detection.area.intersection_over_union(&area) == 0.0);
        }
        choice.sort(&mut small);
        let mut found = self.choose(context, upright.picture, &small, None, choice)?;
        found.retain(|face| face.evidence.conviction() >= MIN_TILE_CONVICTION);
        if !matches!(choice, Choice::All(_) | Choice::Only) {
            return Ok(if known.is_empty() { found } else { known });
        }
        let mut faces = known;
        faces.extend(found);
        let largest = faces.iter().map(FoundFace::eye_distance).fold(0.0, f32::max);
        let min_distance = largest * second_face_ratio(context, choice);
        if choice == Choice::Only {
            let several = faces.len() > 1 && faces.iter().all(|face| face.eye_distance() >= min_distance);
            faces.truncate(1);
            return if several { Err(PipelineFault::SeveralFaces) } else { Ok(faces) };
        }
        faces.retain(|face| face.eye_distance() >= min_distance);
        faces.sort_by(|a, b| b.eye_distance().total_cmp(&a.eye_distance()));
        Ok(faces)
    }

    /// The candidates that are faces, in their order and as many as `choice` selects.
    pub(super) fn choose(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidates: &[Candidate],
        mut first: Option<Embedded>,
        choice: Choice,
    ) -> Result<Vec<FoundFace>, PipelineFault> {
        let mut chosen: Vec<FoundFace> = Vec::new();
        for candidate in candidates {
            let known = first.take();
            let min_distance =
                chosen.first().map_or(0.0, FoundFace::eye_distance) * second_face_ratio(context, choice);
            if candidate.eye_distance() < min_distance.max(MIN_EYE_PIXELS) {
                continue;
            }
            let Some(face) = self.confirm(context, picture, candidate, known)? else { continue };
            chosen.push(face);
            match choice {
                Choice::Only if chosen.len() > 1 => return Err(PipelineFault::SeveralFaces),
                Choice::Only | Choice::All(_) => {}
                Choice::Largest | Choice::Central => break,
            }
        }
        Ok(chosen)
    }

    /// The candidate as a face; `None` where it is none. `known` is its embedding if it is known already.
    fn confirm(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidate: &Candidate,
        known: Option<Embedded>,
    ) -> Result<Option<FoundFace>, InferenceError> {
        let embedded = match known {
            Some(known) => known,
            None => self.embed(context, picture, candidate)?,
        };
        let mut evidence = Evidence::new(candidate, embedded.embedding.norm, &[]);
        if !evidence.is_sure() {
            let probes = self.finder.probe(context, picture, candidate)?;
            evidence = Evidence::new(candidate, embedded.embedding.norm, &probes);
            if !evidence.is_face() {
                return Ok(None);
            }
        }
        Ok((!is_drawn(&embedded.chip)).then_some(FoundFace { embedded, evidence }))
    }
}

/// The part of the largest face's eye distance from which on another face counts.
fn second_face_ratio(context: &Context, choice: Choice) -> f32 {
    if let Choice::All(ratio) = choice { ratio } else { context.settings.second_face }
}
