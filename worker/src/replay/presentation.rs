//! Passive liveness of a clip: whether its frames look like a living face, or like a print or a screen.
//!
//! The log-odds of passive liveness vary from frame to frame. Their mean over several frames separates people from attacks much
//! better than one frame, the median, or the share of frames that pass. So clips have thresholds of their own, the `clip` map of the
//! liveness calibration, which lie lower than those of stills and still let fewer attacks pass.

use crate::pipeline::mean as mean_of;

/// Minimum number of key frames from which a clip's passive liveness is computed.
const MIN_JUDGED: usize = 3;

/// The log-odds of a clip, from those of its suitable key frames; `None` where there are too few.
pub(super) fn mean(frames: impl Iterator<Item = f32>) -> Option<f32> {
    let frames: Vec<f32> = frames.collect();
    (frames.len() >= MIN_JUDGED).then(|| mean_of(&frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_averaged() {
        assert_eq!(mean([1.0, 3.0, 8.0].into_iter()), Some(4.0));
        assert_eq!(mean([-1.0; 7].into_iter()), Some(-1.0));
        assert_eq!(mean([1.0, 3.0].into_iter()), None, "too few frames");
    }
}
