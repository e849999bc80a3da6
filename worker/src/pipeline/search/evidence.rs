//! Whether a detection is a face.
//!
//! The detector takes cats, cups and coins for faces with a score of 0.98, but only at the scale at which it happens to
//! see them: the score falls in larger and smaller regions around the same place. On a real face the score stays, the
//! landmarks stay where they are when the box moves, and the embedding is long.
//!
//! All bounds were measured with the default models: the faces of LFW on one side, animals, things, textures and text
//! on the other. Another embedding model needs other lengths.

use super::candidate::Candidate;
use crate::pipeline::models::Equalisation;

/// Heights of the regions around a detection in which the detector runs again, as multiples of the box's longer side.
pub(super) const PROBE_FACTORS: [f32; 8] = [1.4, 1.6, 1.8, 2.0, 2.4, 2.8, 3.2, 3.6];

/// A probe confirms a box if their intersection over union is above this.
pub(super) const PROBE_MIN_OVERLAP: f32 = 0.3;

/// Minimum score of a first detection without equalisation. Faces of LFW score 0.887 and more, a dog scored 0.67.
const MIN_SCORE: f32 = 0.8;

/// From these values on, no probes are taken. Of LFW's faces 96.7 % pass (98.3 % with a spread of up to 0.055). No
/// other thing passed; the nearest one had 0.995, 0.045 and 2.9.
const SURE_SCORE: f32 = 0.99;
const SURE_SPREAD: f32 = 0.042;
const SURE_NORM: f32 = 2.6;

/// Minimum [`Evidence::conviction`] of a face. Faces of LFW have 2.9 and more, other things 0.4 and less.
const MIN_CONVICTION: f32 = 1.8;

/// Usual length of a face's embedding. The difference of a shorter one is weighted with [`NORM_WEIGHT`].
const FULL_NORM: f32 = 3.0;
const NORM_WEIGHT: f32 = 2.0;

/// Landmarks of a face stray by at most this part of the eye distance (96 % of LFW; other things have a median of
/// 0.15). The excess, up to [`MAX_SPREAD`], is weighted with [`SPREAD_WEIGHT`].
const USUAL_SPREAD: f32 = 0.04;
const MAX_SPREAD: f32 = 0.3;
const SPREAD_WEIGHT: f32 = 8.0;

/// Measures that speak for or against a candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// The detector's score of the first detection.
    score: f32,
    /// The equalisation of the first detection's input.
    equalisation: Equalisation,
    /// Smallest logit of the detector's scores over the first detection and all probes.
    smallest_logit: f32,
    /// Mean logit of the same scores.
    mean_logit: f32,
    /// Length of the embedding.
    norm: f32,
    /// See [`Candidate::spread`].
    spread: f32,
}

impl Evidence {
    /// `probes` are the detector's scores in the regions of [`PROBE_FACTORS`]; empty where no probes were taken.
    pub(crate) fn new(candidate: &Candidate, norm: f32, probes: &[f32]) -> Self {
        let score = candidate.detection.score;
        let logits = || probes.iter().copied().chain([score]).map(logit);
        Self {
            score,
            equalisation: candidate.equalisation,
            smallest_logit: logits().fold(f32::INFINITY, f32::min),
            mean_logit: logits().sum::<f32>() / (probes.len() as f32 + 1.0),
            norm,
            spread: candidate.spread.min(MAX_SPREAD),
        }
    }

    /// Whether the first detection alone is enough.
    pub(crate) fn is_sure(&self) -> bool {
        is_clear_at(self.score, self.spread) && self.norm >= SURE_NORM
    }

    /// Whether the candidate is a face, after all probes.
    pub(crate) fn is_face(&self) -> bool {
        (self.score >= MIN_SCORE || self.equalisation == Equalisation::Histogram)
            && self.conviction() >= MIN_CONVICTION
    }

    /// Mean logit of the detector's scores, reduced where the embedding is short or the landmarks stray.
    pub(crate) fn conviction(&self) -> f32 {
        self.mean_logit
            - NORM_WEIGHT * (FULL_NORM - self.norm).max(0.0)
            - SPREAD_WEIGHT * (self.spread - USUAL_SPREAD).max(0.0)
    }

    /// Uprightness of a face: positive for nearly all upright faces, negative for nearly all that lie on their side or
    /// upside down. The weights come from logistic regression.
    pub(crate) fn uprightness(&self) -> f32 {
        0.2 * self.smallest_logit + 0.4 * self.mean_logit + 4.4 * self.norm - 18.5 * self.spread - 13.4
    }
}

/// Whether a candidate is a face by its score and its landmarks, unless its embedding is short.
pub(super) fn is_clear(candidate: &Candidate) -> bool {
    is_clear_at(candidate.detection.score, candidate.spread)
}

fn is_clear_at(score: f32, spread: f32) -> bool {
    score >= SURE_SCORE && spread <= SURE_SPREAD
}

fn logit(score: f32) -> f32 {
    let score = score.clamp(0.01, 0.999);
    (score / (1.0 - score)).ln()
}
