//! The neutral pose: the head faces the camera and keeps still before the first challenge.

use super::usable::{Usable, evenly_spaced, median};
use crate::pipeline::{LANDMARK_COUNT, Landmarks};

/// The head must keep the neutral pose for this time in seconds.
const MIN_SECONDS: f32 = 0.5;
/// At most this time in seconds of the neutral pose is used.
const MAX_SECONDS: f32 = 1.5;
/// Minimum number of frames of a neutral pose.
const MIN_FRAMES: usize = 3;

/// Sine by which yaw and pitch may deviate from their median during the neutral pose: 6 degrees.
const MAX_DEVIATION_SINE: f32 = 0.1;

/// Yaw and pitch in degrees beyond which a head does not face the camera. The device may be held low, and people's
/// heads differ more in pitch.
const MAX_FRONTAL_DEGREES: [f32; 2] = [20.0, 30.0];

/// Frames whose pose the network estimates.
const EXAMPLES: usize = 5;

/// The span of frames in which the head first has its neutral pose.
#[derive(Clone, Debug)]
pub(super) struct NeutralPose {
    /// The first and the last of its frames, as indices of the usable frames.
    pub(super) span: (usize, usize),
    /// The frames of the track.
    pub(super) frames: Vec<usize>,
    /// The median of the landmarks, with an eye distance of 1.
    pub(super) landmarks: Landmarks,
}

impl NeutralPose {
    /// Finds the first span in which the head keeps still and faces the camera.
    pub(super) fn find(frames: &[Usable<'_>]) -> Option<Self> {
        (0..frames.len()).find_map(|first| Self::starting_at(frames, first))
    }

    fn starting_at(frames: &[Usable<'_>], first: usize) -> Option<Self> {
        let since = |at: usize| frames[at].time - frames[first].time;
        let last = (first..frames.len()).find(|&at| since(at) >= MIN_SECONDS - 1e-3)?;
        if last + 1 - first < MIN_FRAMES {
            return None;
        }
        let angles = |axis: usize| {
            let of = |frame: &Usable<'_>| [frame.face.pose.yaw, frame.face.pose.pitch][axis];
            median(frames[first..=last].iter().map(of).collect())
        };
        let middle = [angles(0), angles(1)];
        let is_near = |at: usize| {
            let pose = &frames[at].face.pose;
            let deviation =
                |axis: usize| ([pose.yaw, pose.pitch][axis] - middle[axis]).to_radians().sin().abs();
            deviation(0).max(deviation(1)) <= MAX_DEVIATION_SINE
        };
        let is_frontal = middle.iter().zip(MAX_FRONTAL_DEGREES).all(|(angle, limit)| angle.abs() <= limit);
        if !is_frontal || !(first..=last).all(is_near) {
            return None;
        }
        let beyond = (last + 1..frames.len()).find(|&at| since(at) > MAX_SECONDS || !is_near(at));
        let last = beyond.unwrap_or(frames.len()) - 1;
        Some(Self::of(frames, first, last))
    }

    fn of(frames: &[Usable<'_>], first: usize, last: usize) -> Self {
        let span = &frames[first..=last];
        let upright: Vec<Landmarks> = span.iter().map(|frame| upright(&frame.face.landmarks)).collect();
        let roll = median(span.iter().map(|frame| frame.face.pose.roll).collect());
        let (sine, cosine) = roll.to_radians().sin_cos();
        let mut points = [[0.0; 2]; LANDMARK_COUNT];
        for (i, point) in points.iter_mut().enumerate() {
            let [x, y] = [0, 1].map(|axis| median(upright.iter().map(|one| one.0[i][axis]).collect()));
            *point = [x * cosine - y * sine, x * sine + y * cosine];
        }
        Self {
            span: (first, last),
            frames: span.iter().map(|frame| frame.index).collect(),
            landmarks: Landmarks(points),
        }
    }

    /// The frame that stands for the neutral pose.
    pub(super) fn middle(&self) -> usize {
        self.frames[self.frames.len() / 2]
    }

    /// Some of the frames.
    pub(super) fn examples(&self) -> Vec<usize> {
        evenly_spaced(&self.frames, EXAMPLES)
    }
}

/// Landmarks with level eyes at a distance of 1, from the middle between them.
fn upright(landmarks: &Landmarks) -> Landmarks {
    let [[x1, y1], [x2, y2]] = landmarks.eyes();
    let (x, y) = ((x1 + x2) / 2.0, (y1 + y2) / 2.0);
    let distance = landmarks.eye_distance().max(f32::MIN_POSITIVE);
    let (cosine, sine) = ((x2 - x1) / distance, (y2 - y1) / distance);
    Landmarks(landmarks.0.map(|point| {
        let (dx, dy) = ((point[0] - x) / distance, (point[1] - y) / distance);
        [dx * cosine + dy * sine, dy * cosine - dx * sine]
    }))
}
