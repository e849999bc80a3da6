//! A detection with its landmarks.

use faceline_shared::face::{BoundingBox, Eyes};

use super::detector::{Detection, Light};
use super::frame::Frame;
use super::landmarks::Landmarks;
use super::rect::Rect;

/// A detection with its landmarks.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) detection: Detection,
    /// The light in which the detector saw it.
    pub(super) light: Light,
    /// The mean over two looks, in the frame's coordinates.
    pub(super) landmarks: Landmarks,
    /// Mean distance of a landmark from its mean over two looks at the detector's box, which is moved between them,
    /// in eye distances.
    pub(super) spread: f32,
    pub(super) frame: Frame,
}

impl Candidate {
    /// In received pixels.
    pub(super) fn eye_distance(&self) -> f32 {
        self.landmarks.eye_distance()
    }

    /// Eyes, nose tip and corners of the mouth in the picture as received, after its EXIF orientation.
    pub(super) fn five(&self) -> [[f32; 2]; 5] {
        self.landmarks.five().map(|point| self.frame.to_upright.apply(point))
    }

    /// The eyes in the picture as received, by their place in it, whatever the turn.
    pub(super) fn eyes(&self) -> Eyes {
        let [a, b] = self.landmarks.eyes().map(|point| self.frame.to_upright.apply(point));
        let ([x1, y1], [x2, y2]) = if a[0] <= b[0] { (a, b) } else { (b, a) };
        Eyes { x1, y1, x2, y2 }
    }

    /// The detector's box in the picture as received.
    pub(super) fn bounding_box(&self) -> BoundingBox {
        let area = &self.detection.area;
        let corners = [[area.left, area.top], [area.right, area.bottom]];
        let turned = Rect::around(&corners.map(|corner| self.frame.to_upright.apply(corner)));
        BoundingBox { x: turned.left, y: turned.top, width: turned.width(), height: turned.height() }
    }
}
