//! Whether a detection is a face.
//!
//! The detector takes cats, cups and coins for faces at 0.98, but only in the cut that it happens to see: shown the
//! same place larger and smaller, it changes its mind. On a face it does not, landmarks stay where they are when
//! the box moves, and the embedding is long.
//!
//! All bounds were measured with the default models: the faces of LFW on one side, animals, things, textures and
//! text on the other. Another embedding model needs other lengths.

use super::candidate::Candidate;
use super::detector::Light;

/// Heights of the regions about a detection that the detector is shown for a second look, over the box's size.
pub(super) const PROBES: [f32; 8] = [1.4, 1.6, 1.8, 2.0, 2.4, 2.8, 3.2, 3.6];

/// A probe confirms a box that overlaps by at least this much.
pub(super) const PROBE_OVERLAP: f32 = 0.3;

/// A first look in plain light below this is no start. LFW: 0.887 and more; a dog: 0.67.
const LEAST_SCORE: f32 = 0.8;

/// From these values on no second look is taken. Of LFW's faces 96.7 % pass (with a spread of up to 0.055: 98.3 %); of
/// what is no face, none did, but one came near, with 0.995, 0.045 and 2.9.
const SURE_SCORE: f32 = 0.99;
const SURE_SPREAD: f32 = 0.042;
const SURE_NORM: f32 = 2.6;

/// The least [`Evidence::conviction`] of a face. LFW: 2.9 and more; what is no face: 0.4 and less.
const LEAST_CONVICTION: f32 = 1.8;

/// Embeddings of faces are about this long; what they lack weighs twice.
const FULL_NORM: f32 = 3.0;
const NORM_WEIGHT: f32 = 2.0;

/// Landmarks of faces stray by no more than this part of the eye distance (LFW: 96 %; no faces: 0.15 in the median);
/// what is above weighs eightfold, up to a bound.
const USUAL_SPREAD: f32 = 0.04;
const MOST_SPREAD: f32 = 0.3;
const SPREAD_WEIGHT: f32 = 8.0;

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// The detector's score at the first look, and the light of it.
    score: f32,
    light: Light,
    /// Smallest and mean logit of the detector's scores over all looks.
    least: f32,
    mean: f32,
    /// Length of the embedding.
    norm: f32,
    /// See [`Candidate::spread`].
    spread: f32,
}

impl Evidence {
    /// `probes` are the detector's scores in [`PROBES`]; none where the first look says it all.
    pub(super) fn new(candidate: &Candidate, norm: f32, probes: &[f32]) -> Self {
        let score = candidate.detection.score;
        let logits = || probes.iter().copied().chain([score]).map(logit);
        Self {
            score,
            light: candidate.light,
            least: logits().fold(f32::INFINITY, f32::min),
            mean: logits().sum::<f32>() / (probes.len() as f32 + 1.0),
            norm,
            spread: candidate.spread.min(MOST_SPREAD),
        }
    }

    /// Whether a first look is enough.
    pub(super) fn is_sure(&self) -> bool {
        self.score >= SURE_SCORE && self.spread <= SURE_SPREAD && self.norm >= SURE_NORM
    }

    /// Whether this is a face, after all looks.
    pub(super) fn is_face(&self) -> bool {
        (self.score >= LEAST_SCORE || self.light == Light::Equalised) && self.conviction() >= LEAST_CONVICTION
    }

    /// Mean logit of the detector's scores, less what embedding and landmarks leave in doubt.
    pub(super) fn conviction(&self) -> f32 {
        self.mean
            - NORM_WEIGHT * (FULL_NORM - self.norm).max(0.0)
            - SPREAD_WEIGHT * (self.spread - USUAL_SPREAD).max(0.0)
    }

    /// How upright a face stands: positive for nearly all that look at the camera, negative for nearly all that lie
    /// on their side or upside down. Weights by logistic regression.
    pub(super) fn uprightness(&self) -> f32 {
        0.2 * self.least + 0.4 * self.mean + 4.4 * self.norm - 18.5 * self.spread - 13.4
    }
}

fn logit(score: f32) -> f32 {
    let score = score.clamp(0.01, 0.999);
    (score / (1.0 - score)).ln()
}
