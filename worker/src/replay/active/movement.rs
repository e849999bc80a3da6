//! The head turn in each frame, measured from the rest.

use super::rest::Rest;
use crate::pipeline::HeadTurn;
use crate::replay::track::{Track, TrackedFace};

/// Rigidity below which landmarks are no head's; see [`HeadPose::rigidity`](crate::pipeline::HeadPose::rigidity).
const MIN_RIGIDITY: f32 = 0.75;

/// Distance of the landmarks' passes, in eye distances, above which they are guessed.
const MAX_SPREAD: f32 = 0.1;

/// The first landmark of brows, nose, eyes and mouth, which must lie within the picture. The jaw need not.
const FIRST_INNER_LANDMARK: usize = 17;

/// A frame whose landmarks can be trusted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usable<'a> {
    /// Index of the frame in the track.
    pub(super) index: usize,
    /// Seconds from the clip's first frame.
    pub(super) time: f32,
    pub(super) face: &'a TrackedFace,
}

/// The frames whose landmarks can be trusted.
pub(super) fn usable(track: &Track) -> Vec<Usable<'_>> {
    let found = track.frames.iter().enumerate().filter_map(|(index, frame)| {
        let face = frame.face.as_ref().filter(|face| is_measurable(face))?;
        Some(Usable { index, time: frame.time, face })
    });
    let mut frames: Vec<Usable<'_>> = found.collect();
    // A head that lies on its side for a while has other coordinates.
    let rotation = frames.first().map(|frame| frame.face.candidate.frame.rotation);
    frames.retain(|frame| Some(frame.face.candidate.frame.rotation) == rotation);
    frames
}

fn is_measurable(face: &TrackedFace) -> bool {
    let frame = &face.candidate.frame;
    let is_inside =
        |&[x, y]: &[f32; 2]| (0.0..=frame.width).contains(&x) && (0.0..=frame.height).contains(&y);
    face.pose.rigidity >= MIN_RIGIDITY
        && face.candidate.spread <= MAX_SPREAD
        && face.landmarks.0[FIRST_INNER_LANDMARK..].iter().all(is_inside)
}

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

/// The median; 0 of no values.
pub(super) fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// At most `count` of the items, at equal distance.
pub(super) fn spread<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count {
        return items.to_vec();
    }
    (0..count).map(|i| items[i * (items.len() - 1) / (count - 1).max(1)]).collect()
}
