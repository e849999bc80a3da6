//! Dividing the motion of a head into turns to one side.

use faceline_shared::job::examination::Direction;
use faceline_shared::liveness::SecurityLevel;

use super::movement::{Moment, Movement};
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
    /// When it reached the smallest size, in seconds.
    pub(super) start: f32,
    /// When the head was back, or turned on to another side, in seconds.
    pub(super) end: f32,
    /// The frames at its peak.
    pub(super) peak: Vec<Moment>,
    /// Sine of the turn at its peak.
    pub(super) size: f32,
}

impl Turn {
    fn new(direction: Direction, moments: &[Moment], end: f32) -> Self {
        let size = moments.iter().map(|moment| along(moment.turn, direction)).fold(0.0, f32::max);
        let is_peak = |moment: &&Moment| along(moment.turn, direction) >= PEAK_PART * size;
        let peak: Vec<Moment> = moments.iter().filter(is_peak).copied().collect();
        let aside = median(peak.iter().map(|moment| across(moment.turn, direction)).collect());
        let start = moments.first().map_or(end, |moment| moment.time);
        let is_straight = aside <= MAX_ACROSS_PART * size;
        Self { direction: is_straight.then_some(direction), start, end, peak, size }
    }

    fn slanting(moments: &[Moment], end: f32) -> Self {
        let size = moments.iter().map(|moment| moment.turn[0].hypot(moment.turn[1])).fold(0.0, f32::max);
        let start = moments.first().map_or(end, |moment| moment.time);
        Self { direction: None, start, end, peak: moments.to_vec(), size }
    }

    /// Some frames of the peak.
    pub(super) fn examples(&self) -> Vec<usize> {
        evenly_spaced(&self.peak, EXAMPLES).iter().map(|moment| moment.index).collect()
    }

    /// The turn, if the pose network sees it too, and if it has the parallax of a head. `rest` and `peak` are the
    /// network's angles in these frames.
    pub(super) fn confirmed(self, rest: &[HeadAngles], peak: &[HeadAngles], smallest: f32) -> Option<Self> {
        let Some(direction) = self.direction else { return Some(self) };
        let middle =
            |angles: &[HeadAngles], of: fn(&HeadAngles) -> f32| median(angles.iter().map(of).collect());
        let right = (middle(peak, |a| a.yaw) - middle(rest, |a| a.yaw)).clamp(-90.0, 90.0).to_radians().sin();
        let down =
            -(middle(peak, |a| a.pitch) - middle(rest, |a| a.pitch)).clamp(-90.0, 90.0).to_radians().sin();
        let roll = median(self.peak.iter().map(|moment| moment.roll).collect());
        let (sine, cosine) = roll.to_radians().sin_cos();
        let seen = [right * cosine - down * sine, right * sine + down * cosine];
        let parallax = median(self.peak.iter().map(|moment| along(moment.parallax, direction)).collect());
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

/// Where the head is.
enum State {
    /// Near the rest, or on its way.
    Centre {
        /// Number of frames in which it slants, and the first of them.
        slanting: Option<(usize, usize)>,
    },
    /// Turned, since this moment.
    Turned(Direction, usize),
}

/// The turns of at least the size `smallest`, in their order.
pub(super) fn segment(movement: &Movement, smallest: f32) -> Vec<Turn> {
    let moments = &movement.moments;
    let mut turns = Vec::new();
    let mut state = State::Centre { slanting: None };
    for (at, moment) in moments.iter().enumerate() {
        if let State::Turned(direction, since) = state
            && along(moment.turn, direction) < END_PART * smallest
        {
            turns.push(Turn::new(direction, &moments[since..at], moment.time));
            state = State::Centre { slanting: None };
        }
        let main = DIRECTIONS
            .into_iter()
            .max_by(|&a, &b| along(moment.turn, a).total_cmp(&along(moment.turn, b)))
            .unwrap_or(Direction::Up);
        let (size, aside) = (along(moment.turn, main), across(moment.turn, main));
        let is_turned = size >= smallest;
        let is_straight = aside <= MAX_ACROSS_PART * size;
        state = match state {
            State::Turned(direction, since) if is_turned && is_straight && main != direction => {
                turns.push(Turn::new(direction, &moments[since..at], moment.time));
                State::Turned(main, at)
            }
            State::Centre { .. } if is_turned && is_straight => State::Turned(main, at),
            State::Centre { slanting } if is_turned => {
                let (count, since) = slanting.unwrap_or((0, at));
                State::Centre { slanting: Some((count + 1, since)) }
            }
            State::Centre { slanting: Some((count, since)) } if size < END_PART * smallest => {
                if count >= MIN_SLANTING_FRAMES {
                    turns.push(Turn::slanting(&moments[since..at], moment.time));
                }
                State::Centre { slanting: None }
            }
            other => other,
        };
    }
    let end = moments.last().map_or(0.0, |moment| moment.time);
    match state {
        State::Turned(direction, since) => turns.push(Turn::new(direction, &moments[since..], end)),
        State::Centre { slanting: Some((count, since)) } if count >= MIN_SLANTING_FRAMES => {
            turns.push(Turn::slanting(&moments[since..], end));
        }
        State::Centre { .. } => {}
    }
    turns
}
