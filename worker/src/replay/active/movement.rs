//! The head turn in each frame, measured from the rest.

use super::rest::Rest;
use super::usable::{Usable, median};
use crate::pipeline::HeadTurn;

/// The motion of the head after the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Movement {
    /// Frames after the rest, in their order.
    pub(super) moments: Vec<Moment>,
    /// When the rest ended, in seconds.
    pub(super) rested_until: f32,
}

/// The head in one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Index of the frame in the track.
    pub(super) index: usize,
    /// Seconds from the clip's first frame.
    pub(super) time: f32,
    /// Sines of the head turn to the picture's right and downwards, smoothed by a median of three frames.
    pub(super) turn: [f32; 2],
    /// The part of it by parallax alone, smoothed in the same way.
    pub(super) parallax: [f32; 2],
    /// Roll of the head in degrees, the mean of this frame and the rest.
    pub(super) roll: f32,
}

impl Movement {
    pub(super) fn new(frames: &[Usable<'_>], rest: &Rest) -> Self {
        let (first, last) = rest.span;
        let rest_roll = median(frames[first..=last].iter().map(|frame| frame.face.pose.roll).collect());
        let after = &frames[last + 1..];
        let turns: Vec<HeadTurn> =
            after.iter().map(|frame| HeadTurn::between(&rest.landmarks, &frame.face.landmarks)).collect();
        let means: Vec<[f32; 2]> = turns.iter().map(HeadTurn::mean).collect();
        let parallaxes: Vec<[f32; 2]> = turns.iter().map(|turn| turn.parallax).collect();
        let moments = after.iter().enumerate().map(|(at, frame)| Moment {
            index: frame.index,
            time: frame.time,
            turn: smoothed(&means, at),
            parallax: smoothed(&parallaxes, at),
            roll: (frame.face.pose.roll + rest_roll) / 2.0,
        });
        Self { moments: moments.collect(), rested_until: frames[last].time }
    }
}

/// The median of a value and its two neighbours, for each axis.
fn smoothed(values: &[[f32; 2]], at: usize) -> [f32; 2] {
    let near = &values[at.saturating_sub(1)..(at + 2).min(values.len())];
    if near.len() < 3 {
        return values[at];
    }
    [0, 1].map(|axis| median(near.iter().map(|value| value[axis]).collect()))
}
