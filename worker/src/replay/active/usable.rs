//! The frames in which the head can be measured.

use crate::replay::track::{Track, TrackedFace};

/// Rigidity below which landmarks are no head's; see [`HeadPose::rigidity`](crate::pipeline::HeadPose::rigidity).
const MIN_RIGIDITY: f32 = 0.75;

/// Distance of the landmarks' passes, in eye distances, above which they are guessed.
const MAX_SPREAD: f32 = 0.1;

/// Maximum distance of a landmark beyond the picture's border, in eye distances. If the border cuts a face, its
/// landmarks are guessed, and move like those of a turning head. A photograph that is moved across the border would
/// seem to turn.
const MAX_BEYOND_BORDER: f32 = 0.03;

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
    let beyond = MAX_BEYOND_BORDER * face.eye_distance();
    let is_inside = |&[x, y]: &[f32; 2]| {
        (-beyond..=frame.width + beyond).contains(&x) && (-beyond..=frame.height + beyond).contains(&y)
    };
    face.pose.rigidity >= MIN_RIGIDITY
        && face.candidate.spread <= MAX_SPREAD
        && face.landmarks.0.iter().all(is_inside)
}

/// The median; 0 of no values.
pub(super) fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// At most `count` of the items, at equal distance.
pub(super) fn evenly_spaced<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count {
        return items.to_vec();
    }
    (0..count).map(|i| items[i * (items.len() - 1) / (count - 1).max(1)]).collect()
}
