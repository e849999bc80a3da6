//! Selection among the faces of a picture.

use faceline_shared::face::ImageType;

use super::candidate::Candidate;
use crate::pipeline::geometry::Frame;
use crate::pipeline::models::Detection;

/// Rule by which faces are selected among several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Choice {
    /// All faces whose eye distance is at least this part of the largest one's.
    All(f32),
    /// The only face; a second one that counts is a fault.
    Only,
    /// The largest face.
    Largest,
    /// The face nearest to the picture's centre.
    Central,
}

impl From<ImageType> for Choice {
    fn from(image_type: ImageType) -> Self {
        match image_type {
            ImageType::IdDocument => Self::Largest,
            ImageType::Selfie | ImageType::VideoFrame => Self::Only,
        }
    }
}

impl Choice {
    /// Sorts candidates, the most likely one first: the largest, or the one nearest to the centre.
    pub(super) fn sort(self, candidates: &mut [Candidate]) {
        let rank = |candidate: &Candidate| {
            if self == Self::Central {
                let [x, y] = candidate.detection.area.centre();
                (x - candidate.frame.width / 2.0).hypot(y - candidate.frame.height / 2.0)
            } else {
                -candidate.eye_distance()
            }
        };
        candidates.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    }

    /// The most likely one of a frame's detections: as [`Self::sort`], by the boxes alone.
    pub(super) fn of_detections(self, found: &[Detection], frame: &Frame) -> Option<Detection> {
        let rank = |detection: &Detection| {
            if self == Self::Central {
                let [x, y] = detection.area.centre();
                (x - frame.width / 2.0).hypot(y - frame.height / 2.0)
            } else {
                -detection.area.width()
            }
        };
        found.iter().min_by(|a, b| rank(a).total_cmp(&rank(b))).copied()
    }
}
