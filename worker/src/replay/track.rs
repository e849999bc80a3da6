//! The face through a clip: in each sampled frame its place, landmarks and pose, and in some frames passive liveness and
//! an embedding.

use crate::pipeline::{Candidate, HeadPose, Landmarks};

/// The face through a clip.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// The sampled frames in their order, at equal distance.
    pub(crate) frames: Vec<TrackedFrame>,
}

/// A sampled frame.
#[derive(Clone, Debug)]
pub(crate) struct TrackedFrame {
    /// Number of the frame among all frames of the clip, from 0.
    pub(crate) number: usize,
    /// Seconds from the clip's first frame.
    pub(crate) time: f32,
    /// The face that is followed: the largest one where it was first found. `None` where no face counts.
    pub(crate) face: Option<TrackedFace>,
}

/// The followed face in a sampled frame.
#[derive(Clone, Debug)]
pub(crate) struct TrackedFace {
    /// Detection and refined landmarks, in the coordinates of [`Candidate::frame`]: pixels of the frame, rotated until the
    /// face stands upright. Directions of a challenge are directions of these coordinates.
    pub(crate) candidate: Candidate,
    /// The landmarks averaged over many passes, precise to a hundredth of the eye distance.
    pub(crate) landmarks: Landmarks,
    /// The pose of these landmarks.
    pub(crate) pose: HeadPose,
    /// Log-odds of passive liveness, the mean of two passes; `None` where it was not measured.
    pub(crate) liveness: Option<f32>,
    /// The L2-normalised embedding; `None` where it was not measured.
    pub(crate) embedding: Option<Vec<f32>>,
}

impl Track {
    /// The frames in which the followed face was found.
    pub(crate) fn faces(&self) -> impl Iterator<Item = (&TrackedFrame, &TrackedFace)> {
        self.frames.iter().filter_map(|frame| Some((frame, frame.face.as_ref()?)))
    }
}

impl TrackedFace {
    /// Distance between the eyes in pixels.
    pub(crate) fn eye_distance(&self) -> f32 {
        self.landmarks.eye_distance()
    }
}
