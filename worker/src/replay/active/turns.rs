//! Dividing the motion of a head into turns to one side.

use faceline_shared::job::examination::Direction;
use faceline_shared::liveness::SecurityLevel;

use super::movement::{Movement, PoseSample};
use super::usable::{evenly_spaced, median};
use crate::pipeline::HeadAngles;

/// All directions.
const DIRECTIONS: [Direction; 4] = [Direction::Up, Direction::Down, Direction::Left, Direction::Right];

/// A turn ends where less than this part of the smallest turn is left.
const END_PART: f32 = 0.5;

/// Motion across a turn's direction may have at most this part of the turn: the turn may deviate by 37 degrees.
const MAX_ACROSS_PART: f32 = 0.75;

/// Frames with at least this part of a turn's size belong to its peak.
const PEAK_PART: f32 = 0.8;

/// The pose network and the parallax must each show at least this part of the smallest turn, in the same direction.
const MIN_CONFIRMED_PART: f32 = 0.5;

/// Frames of a slanting motion that make it a turn.
const MIN_SLANTING_FRAMES: usize = 3;

/// Frames of a peak whose pose the network estimates.
const EXAMPLES: usize = 5;

/// Sine of the smallest turn that counts: 11.5, 13.3 and 15.7 degrees. A smaller motion neither follows a challenge nor
/// contradicts it.
pub(super) fn min_turn_sine(level: SecurityLevel) -> f32 {
    match level {
        SecurityLevel::Low => 0.2,
        SecurityLevel::Medium => 0.23,
        SecurityLevel::High => 0.27,
    }
}

/// A turn of the head to one side.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// `None` where it slants between two directions.
    pub(super) direction: Option<Direction>,
    /// Time at which it reached the smallest size, in seconds.
    pub(super) start: f32,
    /// Time at which the head was back, or turned on to another side, in seconds.
    pub(super) end: f32,
    /// The frames at its peak.
    pub(super) peak: Vec<PoseSample>,
    /// Sine of the turn at its peak.
    pub(super) size: f32,
}

impl Turn {
    fn new(direction: Direction, samples: &[PoseSample], end: f32) -> Self {
        let size = samples.iter().map(|sample| along(sample.turn, direction)).fold(0.0, f32::max);
        let is_peak = |sample: &&PoseSample| along(sample.turn, direction) >= PEAK_PART * size;
        let peak: Vec<PoseSample> = samples.iter().filter(is_peak).copied().collect();
        let aside = median(peak.iter().map(|sample| across(sample.turn, direction)).collect());
        let start = samples.first().map_or(end, |sample| sample.time);
        let is_straight = aside <= MAX_ACROSS_PART * size;
        Self { direction: is_straight.then_some(direction), start, end, peak, size }
    }

    fn slanting(samples: &[PoseSample], end: f32) -> Self {
        let size = samples.iter().map(|sample| sample.turn[0].hypot(sample.turn[1])).fold(0.0, f32::max);
        let start = samples.first().map_or(end, |sample| sample.time);
        Self { direction: None, start, end, peak: samples.to_vec(), size }
    }

    /// Some frames of the peak.
    pub(super) fn examples(&self) -> Vec<usize> {
        evenly_spaced(&self.peak, EXAMPLES).iter().map(|sample| sample.index).collect()
    }

    /// The turn, if the pose network sees it too, and if it has the parallax of a head. `neutral` and `peak` are the
    /// network's angles in the frames of the neutral pose and of the turn's peak.
    pub(super) fn confirmed(
        self,
        neutral: &[HeadAngles],
        peak: &[HeadAngles],
        smallest: f32,
    ) -> Option<Self> {
        let Some(direction) = self.direction else { return Some(self) };
        let middle =
            |angles: &[HeadAngles], of: fn(&HeadAngles) -> f32| median(angles.iter().map(of).collect());
        let right =
            (middle(peak, |a| a.yaw) - middle(neutral, |a| a.yaw)).clamp(-90.0, 90.0).to_radians().sin();
        let down =
            -(middle(peak, |a| a.pitch) - middle(neutral, |a| a.pitch)).clamp(-90.0, 90.0).to_radians().sin();
        let roll = median(self.peak.iter().map(|sample| sample.roll).collect());
        let (sine, cosine) = roll.to_radians().sin_cos();
        let seen = [right * cosine - down * sine, right * sine + down * cosine];
        let parallax = median(self.peak.iter().map(|sample| along(sample.parallax, direction)).collect());
        (along(seen, direction).min(parallax) >= MIN_CONFIRMED_PART * smallest).then_some(self)
    }
}

/// The part of a motion in a direction.
fn along([right, down]: [f32; 2], direction: Direction) -> f32 {
    match direction {
        Direction::Up => -down,
        Direction::Down => down,
        Direction::Left => -right,
        Direction::Right => right,
    }
}

/// The size of a motion's part across a direction.
fn across([right, down]: [f32; 2], direction: Direction) -> f32 {
    match direction {
        Direction::Up | Direction::Down => right.abs(),
        Direction::Left | Direction::Right => down.abs(),
    }
}

/// Position of the head.
enum State {
    /// Near the neutral pose, or on its way.
    Centre {
        /// Number of frames in which it slants, and the first of them.
        slanting: Option<(usize, usize)>,
    },
    /// Turned, since this sample.
    Turned(Direction, usize),
}

/// The turns of at least the size `smallest`, in their order.
pub(super) fn segment(movement: &Movement, smallest: f32) -> Vec<Turn> {
    let samples = &movement.samples;
    let mut turns = Vec::new();
    let mut state = State::Centre { slanting: None };
    for (at, sample) in samples.iter().enumerate() {
        if let State::Turned(direction, since) = state
            && along(sample.turn, direction) < END_PART * smallest
        {
            turns.push(Turn::new(direction, &samples[since..at], sample.time));
            state = State::Centre { slanting: None };
        }
        let main = DIRECTIONS
            .into_iter()
            .max_by(|&a, &b| along(sample.turn, a).total_cmp(&along(sample.turn, b)))
            .unwrap_or(Direction::Up);
        let (size, aside) = (along(sample.turn, main), across(sample.turn, main));
        let is_turned = size >= smallest;
        let is_straight = aside <= MAX_ACROSS_PART * size;
        state = match state {
            State::Turned(direction, since) if is_turned && is_straight && main != direction => {
                turns.push(Turn::new(direction, &samples[since..at], sample.time));
                State::Turned(main, at)
            }
            State::Centre { .. } if is_turned && is_straight => State::Turned(main, at),
            State::Centre { slanting } if is_turned => {
                let (count, since) = slanting.unwrap_or((0, at));
                State::Centre { slanting: Some((count + 1, since)) }
            }
            State::Centre { slanting: Some((count, since)) } if size < END_PART * smallest => {
                if count >= MIN_SLANTING_FRAMES {
                    turns.push(Turn::slanting(&samples[since..at], sample.time));
                }
                State::Centre { slanting: None }
            }
            other => other,
        };
    }
    let end = samples.last().map_or(0.0, |sample| sample.time);
    match state {
        State::Turned(direction, since) => turns.push(Turn::new(direction, &samples[since..], end)),
        State::Centre { slanting: Some((count, since)) } if count >= MIN_SLANTING_FRAMES => {
            turns.push(Turn::slanting(&samples[since..], end));
        }
        State::Centre { .. } => {}
    }
    turns
}
