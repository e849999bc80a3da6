//! A detection with its landmarks.

use faceline_shared::face::{BoundingBox, Eyes};

use crate::picture::Picture;
use crate::pipeline::geometry::{Frame, Landmarks, Rect};
use crate::pipeline::models::{Detection, FaceRegion, Light};

/// A detection with its landmarks.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) detection: Detection,
    /// The light in which the detector found it.
    pub(crate) light: Light,
    /// The mean over two passes, in the frame's coordinates.
    pub(crate) landmarks: Landmarks,
    /// Mean distance of a landmark from its mean over two passes, in eye distances. The detector's box is moved between
    /// the passes.
    pub(crate) spread: f32,
    pub(crate) frame: Frame,
}

impl Candidate {
    /// In received pixels.
    pub(crate) fn eye_distance(&self) -> f32 {
        self.landmarks.eye_distance()
    }

    /// The candidate as a region of the picture in which it was found.
    pub(crate) fn in_picture<'a>(&'a self, picture: &'a Picture) -> FaceRegion<'a> {
        let Self { detection, landmarks, frame, .. } = self;
        FaceRegion { picture, frame, area: &detection.area, landmarks }
    }

    /// Centres of the eyes in the picture as received. The eye at the picture's left comes first, whatever the frame's
    /// rotation.
    pub(crate) fn eyes(&self) -> Eyes {
        let [a, b] = self.landmarks.eyes().map(|point| self.frame.to_upright.apply(point));
        let ([x1, y1], [x2, y2]) = if a[0] <= b[0] { (a, b) } else { (b, a) };
        Eyes { x1, y1, x2, y2 }
    }

    /// The detector's box in the picture as received.
    pub(crate) fn bounding_box(&self) -> BoundingBox {
        let area = &self.detection.area;
        let corners = [[area.left, area.top], [area.right, area.bottom]];
        let upright = Rect::around(&corners.map(|corner| self.frame.to_upright.apply(corner)));
        BoundingBox { x: upright.left, y: upright.top, width: upright.width(), height: upright.height() }
    }
}
