//! Whether a turned head has depth: how much better a head explains the turn than a sheet of paper.

use super::evidence::Evidence;
use super::neutral_pose::NeutralPose;
use super::turns::Turn;
use super::usable::{Usable, evenly_spaced, median};
use crate::inference::InferenceError;
use crate::pipeline::LogisticCurve;

/// Frames of a turn's peak that are compared with the neutral pose.
const EXAMPLES: usize = 3;

/// Maximum number of pairs of neighbouring frames from which the effect of noise on the correlation is measured.
const CEILING_PAIRS: usize = 5;

/// The lowest ceiling. A correlation below it is not explained by noise alone.
const MIN_CEILING: f32 = 0.85;

/// Thresholds of the missing correlation per sine of the turn.
const MISSING_CORRELATION: LogisticCurve = LogisticCurve { medium: 0.22, high: 0.27 };

/// Score of a turn's depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DepthScore(f32);

impl DepthScore {
    /// The upper bound of all turns.
    pub(super) const MAX: Self = Self(1.0);

    /// On the scale of [`SecurityLevel::threshold`](faceline_shared::liveness::SecurityLevel::threshold).
    pub(super) fn score(self) -> f32 {
        self.0
    }

    pub(super) fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Compares the frames at a turn's peak with the neutral pose.
    pub(super) fn of(
        turn: &Turn,
        neutral: &NeutralPose,
        ceiling: f32,
        evidence: &mut impl Evidence,
    ) -> Result<Self, InferenceError> {
        let mut correlations = Vec::new();
        for sample in evenly_spaced(&turn.peak, EXAMPLES) {
            correlations.push(evidence.warp_correlation(neutral.middle(), sample.index)?);
        }
        let missing = 1.0 - median(correlations) / ceiling;
        Ok(Self(MISSING_CORRELATION.score(missing / turn.size.max(f32::MIN_POSITIVE))))
    }
}

/// The correlation of two pictures of one face that differ by noise only, from [`MIN_CEILING`] to 1.
pub(super) fn noise_ceiling(
    frames: &[Usable<'_>],
    neutral: &NeutralPose,
    evidence: &mut impl Evidence,
) -> Result<f32, InferenceError> {
    let (first, last) = neutral.span;
    let mut correlations = Vec::new();
    for pair in frames[first..=last].windows(2).take(CEILING_PAIRS) {
        correlations.push(evidence.warp_correlation(pair[0].index, pair[1].index)?);
    }
    Ok(median(correlations).clamp(MIN_CEILING, 1.0))
}
