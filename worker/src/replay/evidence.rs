//! The evidence of a clip, and the score that combines it.
//!
//! A repetition, a cut, a second person, or a picture without any movement decides alone. Passive liveness, flatness and the motion of
//! the surroundings are combined into one score.

use faceline_models::liveness::score_of_logit;
use faceline_shared::job::replay::SpoofReason;

use super::background::{BackgroundMotion, background_motion};
use super::flatness::{FLAT, FaceMotion};
use super::presentation;
use super::repeats::{self, Repeat};
use super::tracker::{KeyFrame, Tracked, follow};
use super::{cuts, identity};
use crate::pipeline::{Pipeline, PipelineFault};
use crate::video::Clip;

/// From this correlation on a clip looks flat. Each hundredth above it lowers the logit by the penalty.
const SUSPICIOUS_CORRELATION: f32 = 0.955;
const FLATNESS_PENALTY: f32 = 0.8;

/// From this gain on the surroundings seem to move with the face. Each tenth above it lowers the logit by the penalty, up to a bound,
/// because a camera that is held in a hand moves them, too.
const SUSPICIOUS_GAIN: f32 = 0.08;
const BACKGROUND_PENALTY: f32 = 1.2;
const MAX_BACKGROUND_PENALTY: f32 = 2.5;

/// Key frames with several faces, from which on the clip shows a second person; in a single one it may be a poster or a pattern.
const MIN_FRAMES_WITH_OTHERS: usize = 2;

/// Evidence for or against a living person.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayEvidence {
    /// Evidence that needs no score.
    pub(super) attack: Option<SpoofReason>,
    /// The mean log-odds of passive liveness of the suitable key frames; `None` where there are too few.
    pub(super) log_odds: Option<f32>,
    /// The same as a logit, on the scale of clips (the calibration's `clip`).
    pub(super) presentation: Option<f32>,
    pub(super) motion: Option<FaceMotion>,
    pub(super) background: Option<BackgroundMotion>,
}

impl ReplayEvidence {
    /// Follows the face through the clip, and gathers what the frames show.
    pub(super) fn gather(pipeline: &mut Pipeline, clip: &Clip) -> Result<(Tracked, Self), PipelineFault> {
        let cut_candidates = cuts::cut_candidates(&clip.thumbnails);
        let sampled = clip.frames.iter().map(|frame| frame.number as usize);
        let tracked = follow(pipeline, clip, &cuts::frames_beside(&cut_candidates, &sampled))?;
        let motion = FaceMotion::new(&tracked);
        let repeat = repeats::find(&clip.thumbnails);
        let several = tracked.key_frames.iter().filter(|key_frame| key_frame.shown.faces.len() > 1).count();
        let is_still = repeat == Some(Repeat::Still) || motion.is_some_and(FaceMotion::is_still);
        let attack = if several >= MIN_FRAMES_WITH_OTHERS || has_other_person(&tracked) {
            Some(SpoofReason::SecondPerson)
        } else if is_still {
            Some(SpoofReason::Still)
        } else if repeat.is_some() {
            // The seam of a loop is a cut as well.
            Some(if repeat == Some(Repeat::Frozen) { SpoofReason::Frozen } else { SpoofReason::Loop })
        } else {
            cuts::is_cut(&cut_candidates, &tracked).then_some(SpoofReason::Cut)
        };
        let faces: Vec<_> = tracked
            .key_frames
            .iter()
            .filter_map(|key_frame| {
                Some((tracked.track.frames[key_frame.index].face.as_ref()?, &key_frame.face.as_ref()?.grey))
            })
            .collect();
        let background = background_motion(&faces);
        let log_odds = mean_log_odds(&tracked.key_frames);
        let clip = &pipeline.liveness.get()?.calibration().clip;
        let presentation = log_odds.map(|log_odds| clip.logit(log_odds));
        Ok((tracked, Self { attack, log_odds, presentation, motion, background }))
    }

    /// The liveness of the clip, above 0 and at most 1, on the scale of
    /// [`SecurityLevel::threshold`](faceline_shared::liveness::SecurityLevel::threshold).
    pub(super) fn score(&self) -> Option<f32> {
        let logit = self.presentation? - self.flatness_penalty() - self.background_penalty();
        let flat = self.motion.map_or(1.0, |motion| FLAT.score(motion.correlation));
        Some(score_of_logit(logit).min(flat))
    }

    /// Reason for the low score of a clip.
    pub(super) fn reason(&self, threshold: f32) -> SpoofReason {
        let is_low = |logit: f32| score_of_logit(logit) <= threshold;
        match self.presentation {
            Some(logit) if !is_low(logit) => {
                let is_flat = self.motion.is_some_and(|motion| FLAT.score(motion.correlation) <= threshold);
                if is_flat || self.flatness_penalty() >= self.background_penalty() {
                    SpoofReason::FlatMotion
                } else {
                    SpoofReason::MovingBackground
                }
            }
            _ => SpoofReason::Presentation,
        }
    }

    fn flatness_penalty(&self) -> f32 {
        let beyond = self.motion.map_or(0.0, |motion| motion.correlation - SUSPICIOUS_CORRELATION);
        FLATNESS_PENALTY * beyond.max(0.0) / 0.01
    }

    fn background_penalty(&self) -> f32 {
        let beyond = self.background.map_or(0.0, |background| background.gain - SUSPICIOUS_GAIN);
        (BACKGROUND_PENALTY * beyond.max(0.0) / 0.1).min(MAX_BACKGROUND_PENALTY)
    }
}

fn mean_log_odds(key_frames: &[KeyFrame]) -> Option<f32> {
    let suitable = key_frames.iter().filter(|key_frame| key_frame.is_suitable());
    presentation::mean(suitable.filter_map(|key_frame| key_frame.face.as_ref().map(|face| face.log_odds)))
}

fn has_other_person(tracked: &Tracked) -> bool {
    let faces: Vec<identity::CodedFace<'_>> = tracked
        .key_frames
        .iter()
        .filter_map(|key_frame| {
            let face = tracked.track.frames[key_frame.index].face.as_ref()?;
            Some((face, key_frame.face.as_ref()?.measures.embedding_length))
        })
        .collect();
    identity::changes(&faces)
}

#[cfg(test)]
mod tests {
    use faceline_shared::liveness::SecurityLevel;

    use super::*;

    fn evidence(presentation: f32, correlation: f32, gain: f32) -> ReplayEvidence {
        ReplayEvidence {
            log_odds: None,
            presentation: Some(presentation),
            motion: Some(FaceMotion { correlation, displacement: 0.3 }),
            background: Some(BackgroundMotion { gain }),
            attack: None,
        }
    }

    #[test]
    fn a_face_that_changes_before_a_wall_that_rests_costs_nothing() {
        let presentation = 1.4;
        let score = evidence(presentation, 0.9, -0.3).score().unwrap();
        assert!((score - score_of_logit(presentation)).abs() < 1e-6);
        let alone = ReplayEvidence { presentation: Some(presentation), ..ReplayEvidence::default() };
        assert_eq!(alone.score(), Some(score_of_logit(presentation)));
        assert_eq!(ReplayEvidence::default().score(), None);
    }

    #[test]
    fn a_flat_face_is_rejected_however_good_it_looks() {
        let high = SecurityLevel::High.threshold();
        for correlation in [0.975, 0.985, 0.999] {
            let flat = evidence(20.0, correlation, -0.3);
            assert!(flat.score().unwrap() < high, "{correlation}");
            assert_eq!(flat.reason(high), SpoofReason::FlatMotion);
        }
        assert!(evidence(20.0, 0.965, -0.3).score().unwrap() > high, "a living person who sits still");
        assert!(
            evidence(1.5, 0.968, -0.3).score().unwrap() < high,
            "one who does not look quite alive either"
        );
    }

    #[test]
    fn surroundings_that_move_along_turn_the_scale() {
        let high = SecurityLevel::High.threshold();
        let held = evidence(2.0, 0.8, 0.35);
        assert!(held.score().unwrap() < high);
        assert_eq!(held.reason(high), SpoofReason::MovingBackground);
        assert!(evidence(6.0, 0.8, 0.35).score().unwrap() > high, "they are not enough alone");
        assert_eq!(evidence(-3.0, 0.8, 0.35).reason(high), SpoofReason::Presentation);
    }
}
