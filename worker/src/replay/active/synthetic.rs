//! Tracks of heads and of pictures of heads, for tests.

use std::collections::HashMap;

use super::evidence::Evidence;
use crate::inference::InferenceError;
use crate::picture::Affine;
use crate::pipeline::{
    Candidate, Detection, EXTRA_HEAD_POINTS, Equalisation, Frame, HEAD, HeadAngles, HeadPose, LANDMARK_COUNT,
    Landmarks, Rect, Rotation,
};
use crate::replay::track::{Track, TrackedFace, TrackedFrame};

/// Frames a second.
const RATE: f32 = 10.0;

/// Pixels of a frame's sides.
const SIDE: f32 = 600.0;

/// Angles of a head or a sheet, in degrees: to the right, upwards, clockwise.
pub(super) type Pose = [f32; 3];

/// The subject before the camera.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    Head,
    /// A picture of a head.
    Sheet,
}

/// A clip of one subject that moves from pose to pose.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    subject: Subject,
    poses: Vec<Option<Pose>>,
}

impl Scene {
    /// Begins with the neutral pose for 1.5 seconds.
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, poses: Vec::new() }.wait(1.5)
    }

    /// A head that turns to each pose and back.
    pub(super) fn turning(poses: &[Pose]) -> Self {
        poses.iter().fold(Self::new(Subject::Head), |scene, &pose| scene.turn(pose))
    }

    fn last(&self) -> Pose {
        self.poses.iter().flatten().next_back().copied().unwrap_or_default()
    }

    /// Keeps the pose for some seconds.
    pub(super) fn wait(mut self, seconds: f32) -> Self {
        let last = self.last();
        self.poses.extend(std::iter::repeat_n(Some(last), (seconds * RATE) as usize));
        self
    }

    /// Moves to a pose in half a second.
    pub(super) fn go(mut self, to: Pose) -> Self {
        let from = self.last();
        let part = |step: u8| f32::from(step) / 5.0;
        let pose = |step: u8| std::array::from_fn(|i| from[i] + (to[i] - from[i]) * part(step));
        self.poses.extend((1..=5).map(|step| Some(pose(step))));
        self
    }

    /// Moves to a pose, stays there, moves back to the neutral pose, and stays there.
    pub(super) fn turn(self, to: Pose) -> Self {
        self.go(to).wait(0.5).go([0.0; 3]).wait(0.3)
    }

    /// Hides the face for some seconds.
    pub(super) fn hide(mut self, seconds: f32) -> Self {
        self.poses.extend(std::iter::repeat_n(None, (seconds * RATE) as usize));
        self
    }

    /// Seconds so far.
    pub(super) fn seconds(&self) -> f32 {
        self.poses.len() as f32 / RATE
    }

    pub(super) fn track(&self) -> Track {
        let frame = |(number, pose): (usize, &Option<Pose>)| TrackedFrame {
            number,
            time: number as f32 / RATE,
            face: pose.map(|pose| face(self.subject, pose, number)),
        };
        Track { frames: self.poses.iter().enumerate().map(frame).collect() }
    }

    pub(super) fn evidence(&self) -> SyntheticEvidence {
        let poses = self.poses.iter().enumerate();
        SyntheticEvidence {
            subject: self.subject,
            poses: poses.filter_map(|(frame, pose)| Some((frame, (*pose)?))).collect(),
        }
    }
}

fn face(subject: Subject, [yaw, pitch, roll]: Pose, number: usize) -> TrackedFace {
    let mut points = [[0.0; 3]; LANDMARK_COUNT];
    for (index, point) in HEAD.into_iter().chain(EXTRA_HEAD_POINTS) {
        points[index] = point;
    }
    for (lids, x) in [([37, 38, 40, 41], -31.5), ([43, 44, 46, 47], 31.5)] {
        for index in lids {
            points[index] = [x, 1.0, -7.0];
        }
    }
    if subject == Subject::Sheet {
        points = points.map(|[x, y, _]| [x, y, 0.0]);
    }
    let [(sy, cy), (sp, cp), (sr, cr)] = [yaw, pitch, roll].map(|angle| angle.to_radians().sin_cos());
    // The landmark network is never still.
    let noise = |i: usize| ((number * 31 + i * 17) % 13) as f32 / 13.0 - 0.5;
    let landmarks = Landmarks(std::array::from_fn(|i| {
        let [x, y, z] = points[i];
        let (y, z) = (y * cp - z * sp, y * sp + z * cp);
        let (x, z) = (x * cy + z * sy, z * cy - x * sy);
        let scale = 1200.0 / (600.0 - z);
        [x * cr - y * sr, x * sr + y * cr].map(|value| 250.0 + scale * value + 0.8 * noise(i))
    }));
    let frame = Frame { rotation: Rotation::None, width: SIDE, height: SIDE, to_upright: Affine::IDENTITY };
    let pose = HeadPose::new(&landmarks.0);
    let detection = Detection { score: 1.0, area: Rect::around(&landmarks.0) };
    let candidate = Candidate {
        detection,
        equalisation: Equalisation::None,
        landmarks: landmarks.clone(),
        spread: 0.02,
        frame,
    };
    TrackedFace { candidate, landmarks, pose, liveness: None, embedding: None }
}

/// The results that networks and pixels of a scene would give.
pub(super) struct SyntheticEvidence {
    subject: Subject,
    poses: HashMap<usize, Pose>,
}

impl Evidence for SyntheticEvidence {
    fn angles(&mut self, frames: &[usize]) -> Result<Vec<HeadAngles>, InferenceError> {
        let angles = |frame: &usize| {
            let [yaw, pitch, _] = if self.subject == Subject::Head { self.poses[frame] } else { [0.0; 3] };
            HeadAngles { yaw, pitch }
        };
        Ok(frames.iter().map(angles).collect())
    }

    fn warp_correlation(&mut self, one: usize, other: usize) -> Result<f32, InferenceError> {
        let [a, b] = [self.poses[&one], self.poses[&other]];
        let turn = (a[0] - b[0]).hypot(a[1] - b[1]).to_radians().sin();
        // A living face blinks and speaks.
        let changed = if one.abs_diff(other) > 1 { 0.04 } else { 0.0 };
        Ok(if self.subject == Subject::Head { 0.99 - changed - 0.6 * turn } else { 0.985 })
    }
}
