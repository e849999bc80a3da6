//! The head turn in each frame, measured from the neutral pose.

use super::neutral_pose::NeutralPose;
use super::usable::{Usable, median};
use crate::pipeline::HeadTurn;

/// The motion of the head after the neutral pose.
#[derive(Clone, Debug, Default)]
pub(super) struct Movement {
    /// One for each frame after the neutral pose, in their order.
    pub(super) samples: Vec<PoseSample>,
    /// Time at which the neutral pose ended, in seconds.
    pub(super) neutral_until: f32,
}

/// The head's pose in one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoseSample {
    /// Index of the frame in the track.
    pub(super) index: usize,
    /// Seconds from the clip's first frame.
    pub(super) time: f32,
    /// Sines of the head turn to the picture's right and downwards, smoothed by a median of three frames.
    pub(super) turn: [f32; 2],
    /// The part of it by parallax alone, smoothed in the same way.
    pub(super) parallax: [f32; 2],
    /// Roll of the head in degrees, the mean of this frame and the neutral pose.
    pub(super) roll: f32,
}

impl Movement {
    pub(super) fn new(frames: &[Usable<'_>], neutral: &NeutralPose) -> Self {
        let (first, last) = neutral.span;
        let neutral_roll = median(frames[first..=last].iter().map(|frame| frame.face.pose.roll).collect());
        let after = &frames[last + 1..];
        let turns: Vec<HeadTurn> =
            after.iter().map(|frame| HeadTurn::between(&neutral.landmarks, &frame.face.landmarks)).collect();
        let means: Vec<[f32; 2]> = turns.iter().map(HeadTurn::mean).collect();
        let parallaxes: Vec<[f32; 2]> = turns.iter().map(|turn| turn.parallax).collect();
        let samples = after.iter().enumerate().map(|(at, frame)| PoseSample {
            index: frame.index,
            time: frame.time,
            turn: smoothed(&means, at),
            parallax: smoothed(&parallaxes, at),
            roll: (frame.face.pose.roll + neutral_roll) / 2.0,
        });
        Self { samples: samples.collect(), neutral_until: frames[last].time }
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
