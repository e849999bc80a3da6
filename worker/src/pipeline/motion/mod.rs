//! How a face moved between two still pictures, and whether a flat picture of it could have moved so.
//!
//! Three things are looked at, and the one that speaks most against a living head decides:
//! - how far the head turned, by the [`turn`] of what stands out of its surface against the rest;
//! - whether one picture, bent and tilted as a sheet of paper can be, becomes the other ([`sheet`]): then it was a
//!   sheet of paper, or the same picture twice;
//! - whether both were taken at the same place ([`surroundings`]).
//!
//! A recording of somebody who turns the head, played on a screen, moves as a head does: that it is a screen is for
//! passive liveness to tell.

#[cfg(test)]
mod attack;
mod least_squares;
mod sheet;
mod surroundings;
#[cfg(test)]
mod tests;
mod turn;

use faceline_shared::job::examination::{Direction, Motion};

use self::sheet::FacePatch;
use self::surroundings::Surroundings;
use super::candidate::Candidate;
use super::finder::Finder;
use super::times::{StageTimes, timed};
use crate::inference::InferenceError;
use crate::picture::{Picture, Sampler};

/// Sine of a turn below which its direction is chance.
const LEAST_TURN: f32 = 0.05;

/// What the turn in an asked direction must be of the whole turn: it may go astray by up to 69 degrees, and a turn in
/// two directions that are asked for must lie between them by 21 degrees from each.
const LEAST_SHARE: f32 = 0.35;

/// Scores are above zero.
const LEAST_SCORE: f32 = 1e-3;

/// From a measure to the scale of [`SecurityLevel::threshold`](faceline_shared::liveness::SecurityLevel::threshold).
struct Calibration {
    /// Where the score is 0.5.
    medium: f32,
    /// Where it is 0.75; below `medium` where less of the measure is better.
    high: f32,
}

impl Calibration {
    /// The logistic curve through both, which is 0.25 as far on the other side.
    fn score(&self, measure: f32) -> f32 {
        let logit = (measure - self.medium) / (self.high - self.medium) * 3.0_f32.ln();
        1.0 / (1.0 + (-logit).exp())
    }
}

/// Of a turn's sine: 5.4 degrees, and 6.6.
const TURN: Calibration = Calibration { medium: 0.095, high: 0.115 };

/// Of the likeness of both faces once the one lies on the other as a bent sheet does.
const SHEET: Calibration = Calibration { medium: 0.955, high: 0.94 };

/// Of the likeness of both surroundings.
const PLACE: Calibration = Calibration { medium: 0.86, high: 0.92 };

/// One of two pictures, with the face that is meant.
pub(super) struct Still<'a> {
    pub(super) picture: &'a Picture,
    /// With refined landmarks.
    pub(super) candidate: &'a Candidate,
}

/// Judges the way of a face from the first picture to the second. `challenge` is where its nose was to move.
pub(super) fn judge(
    finder: &mut Finder,
    sampler: &mut Sampler,
    stills: [&Still<'_>; 2],
    challenge: &[Direction],
    times: &mut StageTimes,
) -> Result<Motion, InferenceError> {
    let [first, second] = stills;
    let mut average = |still: &Still<'_>, sampler: &mut Sampler| {
        finder.average(sampler, still.picture, still.candidate, times)
    };
    let before = average(first, sampler)?;
    let after = average(second, sampler)?;
    Ok(timed(&mut times.landmarks, || {
        let turn = turn::between(&before, &after);
        let [one, other] = [(first, &before), (second, &after)].map(|(still, landmarks)| {
            let patch = FacePatch::cut(sampler, still.picture, &still.candidate.frame, landmarks);
            (patch, Surroundings::of(sampler, still.picture, &still.candidate.frame, landmarks))
        });
        let likeness = one.0.likeness(&other.0).max(one.0.likeness(&other.0.mirrored()));
        let place = one.1.zip(other.1).map(|(one, other)| one.likeness(&other));
        motion(turn, likeness, place, challenge)
    }))
}

/// Puts together what was measured.
fn motion(turn: [f32; 2], likeness: f32, place: Option<f32>, challenge: &[Direction]) -> Motion {
    let [right, down] = turn;
    let whole = right.hypot(down);
    let place = place.map_or(1.0, |place| PLACE.score(place));
    let score = TURN.score(whole).min(SHEET.score(likeness)).min(place);
    let moved = whole >= LEAST_TURN;
    let follows = |direction: &Direction| {
        let part = match direction {
            Direction::Up => -down,
            Direction::Down => down,
            Direction::Left => -right,
            Direction::Right => right,
        };
        moved && part >= LEAST_SHARE * whole
    };
    Motion {
        score: score.max(LEAST_SCORE),
        direction: moved.then(|| degrees(right, down)),
        follows: challenge.iter().all(follows),
    }
}

/// Counter-clockwise from the right, above 0 to 360.
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
        for calibration in [TURN, SHEET, PLACE] {
            let Calibration { medium, high } = calibration;
            let levels = [
                (2.0 * medium - high, SecurityLevel::Low),
                (medium, SecurityLevel::Medium),
                (high, SecurityLevel::High),
            ];
            for (measure, level) in levels {
                assert!((calibration.score(measure) - level.threshold()).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn directions_are_counter_clockwise_from_the_right() {
        for (right, down, expected) in
            [(0.3, 0.0, 360.0), (0.3, -0.3, 45.0), (0.0, -0.3, 90.0), (-0.3, 0.0, 180.0), (0.0, 0.3, 270.0)]
        {
            let found = motion([right, down], 0.5, None, &[]).direction.unwrap();
            assert!((found - expected).abs() < 1e-3, "{found}, not {expected}");
        }
        assert_eq!(motion([0.03, 0.03], 0.5, None, &[]).direction, None);
    }

    #[test]
    fn every_direction_that_is_asked_for_must_be_taken() {
        use Direction::{Down, Left, Right, Up};
        let follows = |turn, challenge: &[Direction]| motion(turn, 0.5, None, challenge).follows;
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
        let score = |turn: f32, likeness, place| motion([turn, 0.0], likeness, place, &[]).score;
        assert!(score(0.3, 0.7, Some(0.98)) > 0.75 && score(0.3, 0.7, None) > 0.75);
        assert!(score(0.02, 0.7, Some(0.98)) < 0.25);
        assert!(score(0.3, 0.99, Some(0.98)) < 0.25);
        assert!(score(0.3, 0.7, Some(0.5)) < 0.25);
        assert!(score(0.0, 1.0, Some(0.0)) > 0.0);
    }
}
