//! Active liveness: whether the head followed a challenge, and whether it moved as a head and not as a picture of one.
//!
//! 1. `rest` finds how the person looks at the camera at the clip's start; all motion is measured from there.
//! 2. `movement` measures the head turn of every frame, and `turns` divides it into turns to one side.
//! 3. `following` compares the turns with the challenge: direction, order and time.
//! 4. `relief` compares the pixels at each turn's peak with the rest, bent and tilted like a sheet of paper: a head does
//!    not agree, a picture of it does. `flatness` looks for such a picture in the whole clip, whatever it follows.
//!
//! A screen that plays a recording of the right turns shows the motion of a real head. Passive liveness has to detect the
//! screen.

mod evidence;
mod flatness;
mod following;
mod judgement;
mod movement;
mod relief;
mod rest;
#[cfg(test)]
mod clip_tests;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
mod turns;

use faceline_shared::job::examination::Direction;
use faceline_shared::job::replay::ChallengeEvent;
use faceline_shared::liveness::SecurityLevel;

use self::evidence::Evidence;
pub(crate) use self::evidence::FrameEvidence;
use self::flatness::Reference;
pub(crate) use self::judgement::{ActiveJudgement, Deviation, FlatMotion};
use self::movement::{Movement, usable};
use self::relief::{Relief, noise_ceiling};
use self::rest::Rest;
use self::turns::{Turn, min_turn_sine, segment};
use super::track::Track;
use crate::inference::InferenceError;

/// What a person was asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge<'a> {
    /// The directions in their order: where the person was asked to look, in a mirrored picture of that person. So
    /// left is the person's own left.
    pub(crate) directions: &'a [Direction],
    /// When the device showed each of them; empty if it did not say.
    pub(crate) events: &'a [ChallengeEvent],
    /// Whether the clip's frames are mirrored.
    pub(crate) mirrored: bool,
}

impl Challenge<'_> {
    /// The directions as they are seen in the clip's frames.
    fn seen(&self) -> Vec<Direction> {
        let seen = |&direction| match direction {
            Direction::Left if !self.mirrored => Direction::Right,
            Direction::Right if !self.mirrored => Direction::Left,
            other => other,
        };
        self.directions.iter().map(seen).collect()
    }
}

/// Judges whether the head followed the challenge. The track needs at least three frames a second.
pub(crate) fn judge(
    track: &Track,
    challenge: &Challenge<'_>,
    level: SecurityLevel,
    evidence: &mut impl Evidence,
) -> Result<ActiveJudgement, InferenceError> {
    let frames = usable(track);
    let duration = track.frames.last().map_or(0.0, |frame| frame.time);
    let rest = Rest::find(&frames);
    let mut ceiling = 1.0;
    let mut followed = Err(Deviation::NoRest);
    if let Some(rest) = &rest {
        ceiling = noise_ceiling(&frames, rest, evidence)?;
        let movement = Movement::new(&frames, rest);
        let turns = turns_of(&movement, rest, level, evidence)?;
        let matched = following::match_turns(&turns, &movement, challenge, duration);
        followed = match matched {
            Ok(turns) => Ok(relief_of(&turns, rest, ceiling, evidence)?),
            Err(deviation) => Err(deviation),
        };
    }
    let flat = match Reference::new(&frames, rest.as_ref()) {
        Some(reference) => flatness::find(&frames, &reference, ceiling, evidence)?,
        None => None,
    };
    Ok(match (followed, flat) {
        (_, Some(flat)) => ActiveJudgement::Flat(flat),
        (Err(deviation), None) => ActiveJudgement::NotFollowed(deviation),
        (Ok(relief), None) if relief.score() > level.threshold() => {
            ActiveJudgement::Followed { score: relief.score() }
        }
        (Ok(_), None) => ActiveJudgement::Flat(FlatMotion::Turn),
    })
}

/// The turns that the pose network confirms.
fn turns_of(
    movement: &Movement,
    rest: &Rest,
    level: SecurityLevel,
    evidence: &mut impl Evidence,
) -> Result<Vec<Turn>, InferenceError> {
    let mut found = segment(movement, min_turn_sine(level));
    if !found.is_empty() {
        let reference = evidence.angles(&rest.examples())?;
        let mut confirmed = Vec::new();
        for turn in found {
            let angles = evidence.angles(&turn.examples())?;
            confirmed.extend(turn.confirmed(&reference, &angles, min_turn_sine(level)));
        }
        found = confirmed;
    }
    Ok(found)
}

/// The worst relief of the turns.
fn relief_of(
    turns: &[Turn],
    rest: &Rest,
    ceiling: f32,
    evidence: &mut impl Evidence,
) -> Result<Relief, InferenceError> {
    let mut worst = Relief::MAX;
    for turn in turns {
        worst = worst.min(Relief::of(turn, rest, ceiling, evidence)?);
    }
    Ok(worst)
}
