//! Examining live pictures, and the photo that they are compared with.

use bytes::Bytes;
use faceline_shared::face::Eyes;
use faceline_shared::job::Subject;
use faceline_shared::job::examination::{self, Direction, Examination, ExaminedFace, Motion};

use super::examined::{Examined, ExaminedPicture, ExaminingFault};
use super::findings::{check_face, check_size};
use super::motion::{self, Still};
use crate::inference::InferenceError;
use crate::picture::{Chip, Picture};
use crate::pipeline::face_pipeline::Pipeline;
use crate::pipeline::fault::PipelineFault;
use crate::pipeline::geometry::Rotation;
use crate::pipeline::models::{FaceRegion, surroundings};
use crate::pipeline::quality::{Measures, painted_over, quality, similarity_of_painted};
use crate::pipeline::search::{Candidate, Choice, Embedded, Searched};
use crate::pipeline::times::Stage;

/// Levels of the coded quality over which the odds of the shown quality change by a factor of e.
const QUALITY_LEVELS_PER_E: f32 = 100.0;

/// A picture with its faces.
struct PictureView {
    /// At a scale that is fine enough for the first face.
    picture: Picture,
    /// The first face, with precise landmarks.
    first: Option<Embedded>,
    others: Vec<Candidate>,
    shown: examination::ExaminedPicture,
    /// Log-odds of the first face from each passive liveness network, where it was judged.
    log_odds: Vec<f32>,
}

impl PictureView {
    /// The face that can be judged: the only one, in a picture without a finding that rejects it.
    fn judged(&self) -> Option<Still<'_>> {
        let face = self.first.as_ref().filter(|_| self.others.is_empty() && self.shown.rejection().is_none());
        face.map(|face| Still { picture: &self.picture, candidate: &face.candidate })
    }

    fn examined(self) -> ExaminedPicture {
        let surroundings = self.first.as_ref().map(|face| {
            let Candidate { detection, frame, .. } = &face.candidate;
            surroundings(&detection.area, frame.width, frame.height)
        });
        let only = self.first.filter(|_| self.others.is_empty());
        ExaminedPicture {
            shown: self.shown,
            embedding: only.map(|face| face.embedding.vector),
            log_odds: self.log_odds,
            surroundings,
        }
    }
}

impl Pipeline {
    /// Examines live pictures, and the photo that they are compared with.
    ///
    /// # Errors
    /// [`ExaminingFault`] names the picture that cannot be decoded ([`PipelineFault::Picture`]), or on which a model
    /// fails ([`PipelineFault::Inference`]).
    pub fn examine(&mut self, asked: &Examination<Bytes>) -> Result<Examined, ExaminingFault> {
        let mut views = self.view_all(asked)?;
        let live = asked.live.len();
        let inference =
            |error: InferenceError| ExaminingFault { subject: Subject::Live(0), fault: error.into() };
        let mut motion = None;
        if asked.liveness {
            self.judge_liveness(&mut views[..live]).map_err(inference)?;
            motion = self.judge_motion(&views[..live], &asked.challenge).map_err(inference)?;
        }
        let mut examined = views.into_iter().map(PictureView::examined);
        Ok(Examined { live: examined.by_ref().take(live).collect(), motion, photo: examined.next() })
    }

    /// Finds the faces of all pictures, the photo last. The most likely candidates are embedded in one run.
    fn view_all(&mut self, asked: &Examination<Bytes>) -> Result<Vec<PictureView>, ExaminingFault> {
        let subjects: Vec<Subject> = (0..)
            .take(asked.live.len())
            .map(Subject::Live)
            .chain(asked.photo.as_ref().map(|_| Subject::Photo))
            .collect();
        let settings = self.context.settings;
        let mut searched = Vec::new();
        for (bytes, &subject) in asked.pictures().zip(&subjects) {
            let ratio =
                if subject == Subject::Photo { settings.second_portrait } else { settings.second_live_face };
            let found = self.searcher.start(&mut self.context, bytes, Choice::All(ratio), true);
            searched.push(Ok(found.map_err(|fault| ExaminingFault { subject, fault })?));
        }
        // If the batch fails, each picture is embedded alone.
        let firsts = self.searcher.embed_firsts(&mut self.context, &searched).unwrap_or_default();
        let firsts = firsts.into_iter().chain(std::iter::repeat_with(|| None));
        let pictures = searched.into_iter().zip(firsts).zip(subjects);
        pictures
            .map(|((searched, first), subject)| {
                let view = searched.and_then(|searched| self.view(searched, first, subject));
                view.map_err(|fault| ExaminingFault { subject, fault })
            })
            .collect()
    }

    /// Finds a picture's faces, and the findings of the first one. A photo is compared whatever the quality of its
    /// portrait; only its size is checked.
    fn view(
        &mut self,
        searched: Searched<'_>,
        first: Option<Embedded>,
        subject: Subject,
    ) -> Result<PictureView, PipelineFault> {
        let found = self.searcher.find(&mut self.context, &searched, first)?;
        let mut faces = found.into_iter().map(|face| face.embedded);
        let Searched { mut source, mut picture, .. } = searched;
        let mut first = faces.next();
        if let Some(coarse) = first.take() {
            let (finer, embedded) =
                self.searcher.refine_scale(&mut self.context, &mut source, picture, coarse)?;
            (picture, first) = (finer, Some(embedded));
        }
        let others: Vec<Candidate> = faces.map(|face| face.candidate).collect();
        let is_live = matches!(subject, Subject::Live(_));
        let (shown, _) = self.check(&picture, first.as_ref(), &others, is_live)?;
        Ok(PictureView { picture, first, others, shown, log_odds: Vec::new() })
    }

    /// The findings of a picture and its first face, and the measures of that face. `others` are the other faces. The
    /// face itself is checked only if it `is_live`.
    pub(crate) fn check(
        &mut self,
        picture: &Picture,
        first: Option<&Embedded>,
        others: &[Candidate],
        is_live: bool,
    ) -> Result<(examination::ExaminedPicture, Option<Measures>), InferenceError> {
        let measures = first.map(|face| self.measure(face)).transpose()?;
        let mut findings = Vec::from_iter(check_size(picture));
        if let (Some(face), Some(measures), true) = (first, &measures, is_live) {
            let covered = self.covered_similarity(face)?;
            let bounds = &self.context.settings.findings;
            findings.extend(check_face(&face.candidate, measures, covered, bounds));
        }
        let candidates = first.iter().map(|face| &face.candidate).chain(others);
        let shown = examination::ExaminedPicture {
            rotated: first.map_or(Rotation::None, |face| face.candidate.frame.rotation).degrees(),
            faces: candidates.map(|face| ExaminedFace { eyes: rotated_eyes(face), liveness: None }).collect(),
            quality: measures.as_ref().map_or(0.0, |measures| shown_quality(quality(measures))),
            findings,
        };
        Ok((shown, measures))
    }

    /// Similarity of a face to itself with its lower half painted over.
    fn covered_similarity(&mut self, face: &Embedded) -> Result<f32, InferenceError> {
        let painted = painted_over(&face.chip);
        let chips: Vec<&Chip> = painted.iter().collect();
        let embeddings = self.searcher.embed_chips(&mut self.context, &chips)?;
        let vectors = embeddings.iter().map(|other| other.vector.as_slice());
        Ok(similarity_of_painted(&face.embedding.vector, vectors))
    }

    /// The motion of the head between two live pictures; `None` unless each has a face that can be judged.
    fn judge_motion(
        &mut self,
        views: &[PictureView],
        challenge: &[Direction],
    ) -> Result<Option<Motion>, InferenceError> {
        let stills: Vec<Still<'_>> = views.iter().filter_map(PictureView::judged).collect();
        let [first, second] = stills.as_slice() else { return Ok(None) };
        motion::judge(self.searcher.finder(), &mut self.context, [first, second], challenge).map(Some)
    }

    /// Passive liveness of all faces that can be judged.
    fn judge_liveness(&mut self, views: &mut [PictureView]) -> Result<(), InferenceError> {
        let stills = views.iter().filter_map(PictureView::judged);
        let faces: Vec<FaceRegion<'_>> =
            stills.map(|still| still.candidate.in_picture(still.picture)).collect();
        let model = self.liveness.get()?;
        let found = self.context.timed(Stage::Liveness, |sampler| model.log_odds_of_each(sampler, &faces))?;
        let judged = views.iter_mut().filter(|view| view.judged().is_some());
        for (view, log_odds) in judged.zip(found) {
            if let Some(face) = view.shown.faces.first_mut() {
                face.liveness = Some(model.score(&log_odds));
            }
            view.log_odds = log_odds;
        }
        Ok(())
    }
}

/// The eyes in the rotation of the picture in which the face stands upright.
fn rotated_eyes(candidate: &Candidate) -> Eyes {
    let [left, right] = candidate.landmarks.eyes();
    Eyes { x1: left[0], y1: left[1], x2: right[0], y2: right[1] }
}

/// The coded quality on a scale above 0 and below 1: 0.5 at the coded quality 0, 0.73 at 100.
fn shown_quality(quality: i32) -> f32 {
    1.0 / (1.0 + (-quality as f32 / QUALITY_LEVELS_PER_E).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_rises_between_its_ends() {
        let parts = [-500, -10, 0, 100, 300].map(shown_quality);
        assert!(parts.windows(2).all(|pair| pair[0] < pair[1]), "{parts:?}");
        assert!(parts[0] > 0.0 && parts[2] == 0.5 && parts[4] < 1.0, "{parts:?}");
    }
}
