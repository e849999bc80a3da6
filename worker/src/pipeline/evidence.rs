//! Whether a detection is a face.
//!
//! The detector takes cats, cups and coins for faces at 0.98, but only in the cut that it happens to see: shown the
//! same place larger and smaller, it changes its mind. On a face it does not, landmarks stay where they are when
//! the box moves, and the embedding is long.

use super::candidate::Candidate;

/// Regions about a detection that the detector is shown, by their height over the box's.
pub(super) const PROBES: [f32; 3] = [1.4, 2.0, 3.0];

/// A probe confirms a box that overlaps by at least this much.
pub(super) const PROBE_OVERLAP: f32 = 0.3;

/// Faces need not be looked at again from these values on. Of LFW's, 98 % pass; of what is no face, none did.
const SURE_SCORE: f32 = 0.99;
const SURE_SPREAD: f32 = 0.08;
const SURE_NORM: f32 = 2.6;

/// Smallest score over all looks. Faces of LFW: 0.957 and more; the best of what is no face: 0.79.
const LEAST_SCORE: f32 = 0.9;

/// Embeddings shorter than this ask for a surer detector. Faces of LFW: 2.5 and more, but for one in a thousand.
const SHORT_NORM: f32 = 2.4;
const SHORT_NORM_WEIGHT: f32 = 2.0;

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
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
        let scores = || probes.iter().copied().chain([candidate.detection.score]).map(logit);
        let count = probes.len() as f32 + 1.0;
        Self {
            least: scores().fold(f32::INFINITY, f32::min),
            mean: scores().sum::<f32>() / count,
            norm,
            spread: candidate.spread,
        }
    }

    /// Whether a first look is enough.
    pub(super) fn is_sure(&self) -> bool {
        self.least >= logit(SURE_SCORE) && self.spread <= SURE_SPREAD && self.norm >= SURE_NORM
    }

    /// Whether this is a face, after all looks.
    pub(super) fn is_face(&self) -> bool {
        self.least + SHORT_NORM_WEIGHT * (self.norm - SHORT_NORM).min(0.0) >= logit(LEAST_SCORE)
    }

    /// One number, positive for upright faces that look at the camera more or less, negative for what is no face
    /// and for faces that lie on their side. Weights by logistic regression.
    pub(super) fn strength(&self) -> f32 {
        0.2 * self.least + 0.4 * self.mean + 4.4 * self.norm - 18.5 * self.spread.min(0.3) - 13.4
    }
}

fn logit(score: f32) -> f32 {
    let score = score.clamp(0.01, 0.999);
    (score / (1.0 - score)).ln()
}
