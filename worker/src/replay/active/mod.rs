//! Active liveness: whether the head followed a challenge, and whether it moved as a head and not as a picture of one.
//!
//! 1. `neutral_pose` finds how the head faces the camera at the clip's start; all motion is measured from there.
//! 2. `movement` measures the head turn of every frame, and `turns` divides it into turns to one side.
//! 3. `following` compares the turns with the challenge: direction, order and time.
//! 4. `depth` compares the pixels at each turn's peak with the neutral pose, bent and tilted like a sheet of paper: a
//!    head does not agree, a picture of it does. `flatness` looks for such a picture in the whole clip, whatever it follows.
//!
//! A screen that plays a recording of the right turns shows the motion of a real head. Passive liveness has to detect the
//! screen.

mod challenge;
#[cfg(test)]
mod clip_tests;
mod depth;
mod evidence;
mod flatness;
mod following;
mod judgement;
mod movement;
mod neutral_pose;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
mod turns;
mod usable;

use faceline_shared::liveness::SecurityLevel;

pub(crate) use self::challenge::Challenge;
use self::depth::{DepthScore, noise_ceiling};
use self::evidence::Evidence;
pub(crate) use self::evidence::FrameEvidence;
use self::flatness::{Reference, is_still, is_warped_photo};
pub(crate) use self::judgement::{ActiveJudgement, Deviation, FlatMotion};
use self::movement::Movement;
use self::neutral_pose::NeutralPose;
use self::turns::{Turn, min_turn_sine, segment};
use self::usable::usable;
use super::track::Track;
use crate::inference::InferenceError;

/// Judges whether the head followed the challenge. The track needs at least three frames a second.
pub(crate) fn judge(
    track: &Track,
    challenge: &Challenge<'_>,
    level: SecurityLevel,
    evidence: &mut impl Evidence,
) -> Result<ActiveJudgement, InferenceError> {
    let frames = usable(track);
    let duration = track.frames.last().map_or(0.0, |frame| frame.time);
    let neutral = NeutralPose::find(&frames);
    let mut ceiling = 1.0;
    let mut followed = Err(Deviation::NoNeutralPose);
    if let Some(neutral) = &neutral {
        ceiling = noise_ceiling(&frames, neutral, evidence)?;
        let movement = Movement::new(&frames, neutral);
        let turns = turns_of(&movement, neutral, level, evidence)?;
        let matched = following::match_turns(&turns, &movement, challenge, duration);
        followed = match matched {
            Ok(turns) => Ok(worst_depth(&turns, neutral, ceiling, evidence)?),
            Err(deviation) => Err(deviation),
        };
    }
    let Some(reference) = Reference::new(&frames, neutral.as_ref()) else {
        return Ok(ActiveJudgement::NotFollowed(Deviation::NoNeutralPose));
    };
    Ok(match followed {
        _ if is_warped_photo(&frames, &reference, ceiling, evidence)? => {
            ActiveJudgement::Flat(FlatMotion::WarpedPhoto)
        }
        Ok(depth) if depth.score() > level.threshold() => ActiveJudgement::Followed { score: depth.score() },
        Ok(_) => ActiveJudgement::Flat(FlatMotion::NoDepth),
        Err(_) if is_still(&frames, &reference, ceiling, evidence)? => {
            ActiveJudgement::Flat(FlatMotion::Still)
        }
        Err(deviation) => ActiveJudgement::NotFollowed(deviation),
    })
}

/// The turns that the pose network confirms.
fn turns_of(
    movement: &Movement,
    neutral: &NeutralPose,
    level: SecurityLevel,
    evidence: &mut impl Evidence,
) -> Result<Vec<Turn>, InferenceError> {
    let mut found = segment(movement, min_turn_sine(level));
    if !found.is_empty() {
        let reference = evidence.angles(&neutral.examples())?;
        let mut confirmed = Vec::new();
        for turn in found {
            let angles = evidence.angles(&turn.examples())?;
            confirmed.extend(turn.confirmed(&reference, &angles, min_turn_sine(level)));
        }
        found = confirmed;
    }
    Ok(found)
}

/// The worst depth score of the turns.
fn worst_depth(
    turns: &[Turn],
    neutral: &NeutralPose,
    ceiling: f32,
    evidence: &mut impl Evidence,
) -> Result<DepthScore, InferenceError> {
    let mut worst = DepthScore::MAX;
    for turn in turns {
        worst = worst.min(DepthScore::of(turn, neutral, ceiling, evidence)?);
    }
    Ok(worst)
}
