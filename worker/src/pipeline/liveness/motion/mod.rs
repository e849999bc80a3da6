//! The motion of a head between two still pictures, and whether a flat picture of it could have moved in the same way.
//!
//! Three measures are taken, and the one with the strongest evidence against a living head decides:
//! - how far the head turned, by its pose and by the parallax of its nose ([`head_turn`]);
//! - whether one picture becomes the other by a warp, as if it were bent and tilted like a sheet of paper ([`warp`]),
//!   which shows that it is a sheet of paper or the same picture twice;
//! - whether both were taken in the same place ([`surroundings`]).
//!
//! A screen that plays the recording of a turning head shows the motion of a real head. Passive liveness has to detect
//! the screen.

#[cfg(test)]
pub(crate) mod attack;
mod grey;
mod head_turn;
mod least_squares;
mod surroundings;
#[cfg(test)]
mod tests;
mod warp;

use faceline_shared::job::examination::{Direction, Motion};

pub(crate) use self::grey::Grey;
#[cfg(test)]
pub(crate) use self::head_turn::EXTRA_HEAD_POINTS;
pub(crate) use self::head_turn::HeadTurn;
use self::surroundings::Surroundings;
pub(crate) use self::warp::{FacePatch, WarpMatch};
use crate::inference::InferenceError;
use crate::picture::Picture;
use crate::pipeline::context::Context;
use crate::pipeline::geometry::FramedPicture;
use crate::pipeline::search::{Candidate, Finder};
use crate::pipeline::times::Stage;

/// Sine of a head turn below which its direction is random.
const MIN_DIRECTED_TURN_SINE: f32 = 0.05;

/// Minimum share of the whole head turn that goes in a requested direction. The turn may deviate from it by up to 69
/// degrees; if two directions are requested, it must lie between them, at least 21 degrees from each.
const MIN_DIRECTION_SHARE: f32 = 0.35;

/// Lower bound of a motion score, since scores are above zero.
const MIN_SCORE: f32 = 1e-3;

/// A logistic curve that converts a measure to the scale of
/// [`SecurityLevel::threshold`](faceline_shared::liveness::SecurityLevel::threshold).
pub(crate) struct LogisticCurve {
    /// The measure at which the score is 0.5.
    pub(crate) medium: f32,
    /// The measure at which the score is 0.75. It lies below `medium` if a smaller measure is better.
    pub(crate) high: f32,
}

impl LogisticCurve {
    /// The score of a measure on the curve through both points. As far on the other side of `medium`, it is 0.25.
    pub(crate) fn score(&self, measure: f32) -> f32 {
        let logit = (measure - self.medium) / (self.high - self.medium) * 3.0_f32.ln();
        1.0 / (1.0 + (-logit).exp())
    }
}

/// Curve for the sine of a head turn: 5.4 degrees and 6.6 degrees.
const HEAD_TURN: LogisticCurve = LogisticCurve { medium: 0.095, high: 0.115 };

/// Curve for the correlation of both faces, after one was warped onto the other like a bent sheet.
const WARP: LogisticCurve = LogisticCurve { medium: 0.955, high: 0.94 };

/// Curve for the similarity of both surroundings.
const SURROUNDINGS: LogisticCurve = LogisticCurve { medium: 0.86, high: 0.92 };

/// One of two pictures, with the face whose motion is judged.
pub(super) struct Still<'a> {
    pub(super) picture: &'a Picture,
    /// With refined landmarks.
    pub(super) candidate: &'a Candidate,
}

/// Judges the motion of a head from the first picture to the second. `challenge` lists the directions in which the nose
/// was asked to move.
pub(super) fn judge(
    finder: &mut Finder,
    context: &mut Context,
    stills: [&Still<'_>; 2],
    challenge: &[Direction],
) -> Result<Motion, InferenceError> {
    let [first, second] = stills;
    let before = finder.average(context, first.picture, first.candidate)?;
    let after = finder.average(context, second.picture, second.candidate)?;
    Ok(context.timed(Stage::Landmarks, |sampler| {
        let head_turn = HeadTurn::between(&before, &after).mean();
        let [one, other] = [(first, &before), (second, &after)].map(|(still, landmarks)| {
            let framed = FramedPicture { picture: still.picture, frame: still.candidate.frame };
            let patch = FacePatch::cut(sampler, &framed, landmarks);
            (patch, Surroundings::cut(sampler, &framed, landmarks))
        });
        let correlation = one.0.correlation(&other.0).max(one.0.correlation(&other.0.mirrored()));
        let surroundings = one.1.zip(other.1).map(|(one, other)| one.similarity(&other));
        combine(head_turn, correlation, surroundings, challenge)
    }))
}

/// Combines the three measures.
fn combine(
    head_turn: [f32; 2],
    correlation: f32,
    surroundings: Option<f32>,
    challenge: &[Direction],
) -> Motion {
    let [right, down] = head_turn;
    let whole = right.hypot(down);
    let surroundings = surroundings.map_or(1.0, |similarity| SURROUNDINGS.score(similarity));
    let score = HEAD_TURN.score(whole).min(WARP.score(correlation)).min(surroundings);
    let moved = whole >= MIN_DIRECTED_TURN_SINE;
    let follows = |direction: &Direction| {
        let part = match direction {
            Direction::Up => -down,
            Direction::Down => down,
            Direction::Left => -right,
            Direction::Right => right,
        };
        moved && part >= MIN_DIRECTION_SHARE * whole
    };
    Motion {
        score: score.max(MIN_SCORE),
        direction: moved.then(|| degrees(right, down)),
        follows: challenge.iter().all(follows),
    }
}

/// The angle counter-clockwise from the right, above 0 and at most 360.
fn degrees(right: f32, down: f32) -> f32 {
    let degrees = (-down).atan2(right).to_degrees();
    if degrees > 0.0 { degrees } else { degrees + 360.0 }
}

#[cfg(test)]
mod units {
    use faceline_shared::liveness::SecurityLevel;

    use super::*;

    #[test]
    fn scores_are_on_the_scale_of_the_security_levels() {
        for curve in [HEAD_TURN, WARP, SURROUNDINGS] {
            let LogisticCurve { medium, high } = curve;
            let levels = [
                (2.0 * medium - high, SecurityLevel::Low),
                (medium, SecurityLevel::Medium),
                (high, SecurityLevel::High),
            ];
            for (measure, level) in levels {
                assert!((curve.score(measure) - level.threshold()).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn directions_are_counter_clockwise_from_the_right() {
        for (right, down, expected) in
            [(0.3, 0.0, 360.0), (0.3, -0.3, 45.0), (0.0, -0.3, 90.0), (-0.3, 0.0, 180.0), (0.0, 0.3, 270.0)]
        {
            let found = combine([right, down], 0.5, None, &[]).direction.unwrap();
            assert!((found - expected).abs() < 1e-3, "{found}, not {expected}");
        }
        assert_eq!(combine([0.03, 0.03], 0.5, None, &[]).direction, None);
    }

    #[test]
    fn every_direction_that_is_asked_for_must_be_taken() {
        use Direction::{Down, Left, Right, Up};
        let follows = |turn, challenge: &[Direction]| combine(turn, 0.5, None, challenge).follows;
        for (turn, taken) in
            [([0.3, 0.05], Right), ([-0.3, 0.05], Left), ([0.05, -0.3], Up), ([0.05, 0.3], Down)]
        {
            for direction in [Up, Down, Left, Right] {
                assert_eq!(follows(turn, &[direction]), direction == taken, "{turn:?} {direction:?}");
            }
            assert!(follows(turn, &[]));
        }
        assert!(follows([-0.2, -0.15], &[Up, Left]) && !follows([-0.2, -0.02], &[Up, Left]));
        assert!(!follows([-0.2, -0.15], &[Up, Right]) && !follows([0.2, 0.2], &[Left, Right]));
        assert!(!follows([0.02, 0.0], &[Right]), "that is no turn");
    }

    #[test]
    fn the_worst_of_turn_likeness_and_place_decides() {
        let score =
            |turn: f32, correlation, surroundings| combine([turn, 0.0], correlation, surroundings, &[]).score;
        assert!(score(0.3, 0.7, Some(0.98)) > 0.75 && score(0.3, 0.7, None) > 0.75);
        assert!(score(0.02, 0.7, Some(0.98)) < 0.25);
        assert!(score(0.3, 0.99, Some(0.98)) < 0.25);
        assert!(score(0.3, 0.7, Some(0.5)) < 0.25);
        assert!(score(0.0, 1.0, Some(0.0)) > 0.0);
    }
}
