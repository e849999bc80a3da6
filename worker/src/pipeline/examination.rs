//! Looking at live pictures, and at the photo that they are compared with.

use bytes::Bytes;
use faceline_shared::face::Eyes;
use faceline_shared::job::Subject;
use faceline_shared::job::examination::{self, Direction, Examination, ExaminedFace, Motion};

use super::candidate::Candidate;
use super::coder::{Choice, Embedded, Pipeline, Searched};
use super::coding::CodingFault;
use super::findings::{checked, checked_size, likeness, painted_over};
use super::frame::Turn;
use super::motion::{self, Still};
use super::quality::{Measures, quality};
use super::times::{StageTimes, timed};
use crate::inference::InferenceError;
use crate::picture::{Chip, Picture};

/// Levels of the coded quality over which its odds change by a factor of e.
const QUALITY_STEP: f32 = 100.0;

/// What is found in the pictures of an examination.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The live pictures, in the order given.
    pub live: Vec<ExaminedPicture>,
    /// Between two live pictures.
    pub motion: Option<Motion>,
    /// The photo, where there is one.
    pub photo: Option<ExaminedPicture>,
}

/// What is found in one of them.
#[derive(Clone, Debug)]
pub struct ExaminedPicture {
    /// For whoever asked.
    pub shown: examination::ExaminedPicture,
    /// The L2-normalised embedding; `None` unless the picture has one face.
    pub embedding: Option<Vec<f32>>,
}

/// Why an examination has no result.
#[derive(Debug, thiserror::Error)]
#[error("{subject:?}: {fault}")]
pub struct ExaminingFault {
    /// Which picture.
    pub subject: Subject,
    /// What is wrong with it.
    pub fault: CodingFault,
}

/// A picture whose faces are found.
struct View {
    /// At a scale that shows the first face well.
    picture: Picture,
    /// The first face, with precise landmarks.
    first: Option<Embedded>,
    others: Vec<Candidate>,
    shown: examination::ExaminedPicture,
}

impl View {
    /// The face, where there is one and no other, and nothing speaks against judging it.
    fn judged(&self) -> Option<(&Picture, &Candidate)> {
        let face = self.first.as_ref().filter(|_| self.others.is_empty() && self.shown.rejection().is_none());
        face.map(|face| (&self.picture, &face.candidate))
    }

    fn examined(self) -> ExaminedPicture {
        let only = self.first.filter(|_| self.others.is_empty());
        ExaminedPicture { shown: self.shown, embedding: only.map(|face| face.embedding.vector) }
    }
}

impl Pipeline {
    /// Examines live pictures, and the photo that they are compared with.
    ///
    /// # Errors
    /// A picture cannot be decoded, or a model fails.
    pub fn examine(
        &mut self,
        asked: &Examination<Bytes>,
        times: &mut StageTimes,
    ) -> Result<Examined, ExaminingFault> {
        let mut views = self.view_all(asked, times)?;
        let live = asked.live.len();
        let inference =
            |error: InferenceError| ExaminingFault { subject: Subject::Live(0), fault: error.into() };
        let mut motion = None;
        if asked.liveness {
            self.judge(&mut views[..live], times).map_err(inference)?;
            motion = self.motion(&views[..live], &asked.challenge, times).map_err(inference)?;
        }
        let mut examined = views.into_iter().map(View::examined);
        Ok(Examined { live: examined.by_ref().take(live).collect(), motion, photo: examined.next() })
    }

    /// Finds the faces of all pictures, the photo last. The likeliest ones are embedded in one run.
    fn view_all(
        &mut self,
        asked: &Examination<Bytes>,
        times: &mut StageTimes,
    ) -> Result<Vec<View>, ExaminingFault> {
        let subjects: Vec<Subject> = (0..)
            .take(asked.live.len())
            .map(Subject::Live)
            .chain(asked.photo.as_ref().map(|_| Subject::Photo))
            .collect();
        let (second_face, second_portrait) = (self.settings.second_face, self.settings.second_portrait);
        let mut searched = Vec::new();
        for (bytes, &subject) in asked.pictures().zip(&subjects) {
            let ratio = if subject == Subject::Photo { second_portrait } else { second_face };
            let found = self.search(bytes, Choice::All(ratio), true, times);
            searched.push(Ok(found.map_err(|fault| ExaminingFault { subject, fault })?));
        }
        // Where this fails, each picture is tried alone.
        let firsts = self.embed_firsts(&mut searched, times).unwrap_or_default();
        let firsts = firsts.into_iter().chain(std::iter::repeat_with(|| None));
        let pictures = searched.into_iter().zip(firsts).zip(subjects);
        pictures
            .map(|((searched, first), subject)| {
                let view = searched.and_then(|searched| self.view(searched, first, subject, times));
                view.map_err(|fault| ExaminingFault { subject, fault })
            })
            .collect()
    }

    /// Finds a picture's faces, and looks at the first one closely. A photo is compared whatever its portrait looks like:
    /// only its size is checked.
    fn view(
        &mut self,
        searched: Searched<'_>,
        first: Option<Embedded>,
        subject: Subject,
        times: &mut StageTimes,
    ) -> Result<View, CodingFault> {
        let mut faces = self.find(&searched, first, times)?.into_iter().map(|face| face.embedded);
        let Searched { mut source, mut picture, .. } = searched;
        let mut first = faces.next();
        if let Some(coarse) = first.take() {
            let (finer, embedded) = self.look_closely(&mut source, picture, coarse, times)?;
            (picture, first) = (finer, Some(embedded));
        }
        let others: Vec<Candidate> = faces.map(|face| face.candidate).collect();
        let measures =
            first.as_ref().map(|face| Measures::new(&face.candidate, &face.chip, face.embedding.norm));
        let mut findings = Vec::from_iter(checked_size(&picture));
        if let (Some(face), Some(measures), Subject::Live(_)) = (&first, &measures, subject) {
            let covered = self.likeness_covered(face, times)?;
            findings.extend(checked(&face.candidate, measures, covered, &self.settings.findings));
        }
        let candidates = first.iter().map(|face| &face.candidate).chain(&others);
        let shown = examination::ExaminedPicture {
            rotated: first.as_ref().map_or(Turn::None, |face| face.candidate.frame.turn).degrees(),
            faces: candidates.map(|face| ExaminedFace { eyes: eyes(face), liveness: None }).collect(),
            quality: measures.as_ref().map_or(0.0, |measures| part(quality(measures))),
            findings,
        };
        Ok(View { picture, first, others, shown })
    }

    /// How much a face is like itself with its lower half painted over.
    fn likeness_covered(&mut self, face: &Embedded, times: &mut StageTimes) -> Result<f32, InferenceError> {
        let painted = painted_over(&face.chip);
        let chips: Vec<&Chip> = painted.iter().collect();
        let embeddings = timed(&mut times.embed, || self.embedder.embed(&chips))?;
        Ok(likeness(&face.embedding.vector, embeddings.iter().map(|other| other.vector.as_slice())))
    }

    /// How the face moved between two live pictures; `None` unless each has one that can be judged.
    fn motion(
        &mut self,
        views: &[View],
        challenge: &[Direction],
        times: &mut StageTimes,
    ) -> Result<Option<Motion>, InferenceError> {
        let stills: Vec<Still<'_>> = views
            .iter()
            .filter_map(View::judged)
            .map(|(picture, candidate)| Still { picture, candidate })
            .collect();
        let [first, second] = stills.as_slice() else { return Ok(None) };
        motion::judge(&mut self.finder, &mut self.sampler, [first, second], challenge, times).map(Some)
    }

    /// Passive liveness of all faces that can be judged.
    fn judge(&mut self, views: &mut [View], times: &mut StageTimes) -> Result<(), InferenceError> {
        let faces: Vec<_> = views.iter().filter_map(View::judged).collect();
        let model = self.liveness.get()?;
        let scores = timed(&mut times.liveness, || model.score(&mut self.sampler, &faces))?;
        let judged = views.iter_mut().filter(|view| view.judged().is_some());
        for (view, score) in judged.zip(scores) {
            if let Some(face) = view.shown.faces.first_mut() {
                face.liveness = Some(score);
            }
        }
        Ok(())
    }
}

/// The eyes in the picture turned so that the face stands upright.
fn eyes(candidate: &Candidate) -> Eyes {
    let [left, right] = candidate.landmarks.eyes();
    Eyes { x1: left[0], y1: left[1], x2: right[0], y2: right[1] }
}

/// The coded quality on a scale from above 0 to 1: 0.5 where a better picture is needed, 0.73 from where it is good.
fn part(quality: i32) -> f32 {
    1.0 / (1.0 + (-quality as f32 / QUALITY_STEP).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_rises_between_its_ends() {
        let parts = [-500, -10, 0, 100, 300].map(part);
        assert!(parts.windows(2).all(|pair| pair[0] < pair[1]), "{parts:?}");
        assert!(parts[0] > 0.0 && parts[2] == 0.5 && parts[4] < 1.0, "{parts:?}");
    }
}
