//! A detection with its landmarks.

use faceline_shared::face::{BoundingBox, Eyes};

use super::detector::Detection;
use super::frame::Frame;
use super::landmarks::Landmarks;
use super::rect::Rect;

/// Boxes in which a face's landmarks are looked for.
pub(super) const LOOKS: usize = 5;

/// A detection with its landmarks.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) detection: Detection,
    /// The mean over the boxes, in the frame's coordinates.
    pub(super) landmarks: Landmarks,
    /// Mean distance of a landmark from its mean over the boxes, in eye distances.
    pub(super) spread: f32,
    pub(super) frame: Frame,
}

/// The detector's box, and that box moved a little to each side: on a face the landmarks stay where they are.
pub(super) fn boxes(area: &Rect) -> [Rect; LOOKS] {
    const STEP: f32 = 0.06;
    let [x, y] = area.centre();
    let (w, h) = (area.width(), area.height());
    [(0.0, 0.0), (-STEP, 0.0), (STEP, 0.0), (0.0, -STEP), (0.0, STEP)]
        .map(|(right, down)| Rect::centred([x + right * w, y + down * h], w, h))
}

impl Candidate {
    /// Averages the landmarks that were found in [`boxes`].
    pub(super) fn new(detection: Detection, found: &[Landmarks], frame: Frame) -> Self {
        let n = found.len() as f32;
        let landmarks = Landmarks(std::array::from_fn(|i| {
            let sum = found.iter().fold([0.0, 0.0], |sum, one| [sum[0] + one.0[i][0], sum[1] + one.0[i][1]]);
            sum.map(|value| value / n)
        }));
        let pairs = found.iter().flat_map(|one| one.0.iter().zip(&landmarks.0));
        let strayed: f32 = pairs.map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1])).sum();
        let spread =
            strayed / (n * landmarks.0.len() as f32 * landmarks.eye_distance().max(f32::MIN_POSITIVE));
        Self { detection, landmarks, spread, frame }
    }

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
