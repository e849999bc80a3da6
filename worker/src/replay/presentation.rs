//! Passive liveness of a clip: whether its frames look like a living face, or like a print or a screen.
//!
//! The log-odds of passive liveness vary from frame to frame. Their mean over several frames separates people from attacks much
//! better than one frame, the median, or the share of frames that pass. So clips have thresholds of their own, which lie lower
//! than those of stills and still let fewer attacks pass.

/// Thresholds of a clip lie by so much lower than those of a still, in units of a still's logit.
const SHIFT: f32 = 0.3;
/// A logit of a clip over that of a still: the three levels lie 0.6 logits of a still apart, and must be
/// ln 3 apart.
const SCALE: f32 = 1.831;

/// The liveness of a clip as a logit, from that of its frames as stills. 0 is the threshold of
/// [`SecurityLevel::Medium`](faceline_shared::liveness::SecurityLevel::Medium), ln 3 at each side are those of the others.
pub(super) fn logit(stills: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = stills.len().max(1) as f32;
    SCALE * (stills.sum::<f32>() / count + SHIFT)
}

/// The score of a logit: above 0, at most 1.
pub(super) fn score(logit: f32) -> f32 {
    const MAX_LOGIT: f32 = 30.0;
    1.0 / (1.0 + (-logit).clamp(-MAX_LOGIT, MAX_LOGIT).exp())
}

#[cfg(test)]
mod tests {
    use faceline_shared::liveness::SecurityLevel;

    use super::*;

    #[test]
    fn levels_of_a_clip_lie_below_those_of_a_still() {
        for (still, level) in
            [(-0.9, SecurityLevel::Low), (-0.3, SecurityLevel::Medium), (0.3, SecurityLevel::High)]
        {
            let found = score(logit([still; 7].into_iter()));
            assert!((found - level.threshold()).abs() < 2e-3, "{still}: {found}");
        }
    }

    #[test]
    fn frames_are_averaged() {
        assert_eq!(logit([1.0, 3.0].into_iter()), logit([2.0].into_iter()));
        assert!(score(logit([f32::INFINITY].into_iter())) <= 1.0 && score(-1e9) > 0.0);
    }
}
