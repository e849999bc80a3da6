//! Passive liveness of a clip: whether its frames look like a living face, or like a print or a screen.
//!
//! The log-odds of passive liveness vary from frame to frame. Their mean over several frames separates people from attacks much
//! better than one frame, the median, or the share of frames that pass. So clips have thresholds of their own, the `clip` map of the
//! liveness calibration, which lie lower than those of stills and still let fewer attacks pass.

use faceline_models::liveness::ScoreMap;

/// The liveness of a clip as a logit, from the log-odds of its frames. 0 is the threshold of
/// [`SecurityLevel::Medium`](faceline_shared::liveness::SecurityLevel::Medium), ln 3 at each side are those of the others.
pub(super) fn logit(clip: &ScoreMap, frames: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = frames.len().max(1) as f32;
    clip.logit(frames.sum::<f32>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_averaged() {
        let clip = ScoreMap { scale: 0.5, offset: 0.0, low: -1.0, medium: -0.5, high: 0.0 };
        assert_eq!(logit(&clip, [1.0, 3.0].into_iter()), logit(&clip, [2.0].into_iter()));
        assert_eq!(logit(&clip, [-1.0; 7].into_iter()), 0.0);
    }
}
