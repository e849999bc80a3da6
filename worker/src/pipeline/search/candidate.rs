//! A detection with its landmarks.

use faceline_shared::face::{BoundingBox, Eyes, PixelBox};

use crate::picture::Picture;
use crate::pipeline::geometry::{Frame, Landmarks, Rect};
use crate::pipeline::models::{Detection, Equalisation, FaceRegion};

/// A detection with its landmarks.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) detection: Detection,
    /// The equalisation of the input in which the detector found it.
    pub(crate) equalisation: Equalisation,
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
        let upright = self.upright(&self.detection.area);
        BoundingBox { x: upright.left, y: upright.top, width: upright.width(), height: upright.height() }
    }

    /// The detector's box in whole pixels of the picture as received, clipped to the picture.
    pub(crate) fn face_box(&self) -> PixelBox {
        let upright = self.upright(&self.detection.area);
        let picture = self.upright(&Rect::new(0.0, 0.0, self.frame.width, self.frame.height));
        let (x, width) = whole_pixels(upright.left, upright.right, picture.right);
        let (y, height) = whole_pixels(upright.top, upright.bottom, picture.bottom);
        PixelBox { x, y, width, height }
    }

    /// A rectangle of the frame in the coordinates of the picture as received.
    fn upright(&self, area: &Rect) -> Rect {
        let corners = [[area.left, area.top], [area.right, area.bottom]];
        Rect::around(&corners.map(|corner| self.frame.to_upright.apply(corner)))
    }
}

/// The first pixel and the number of pixels from `start` to `end`, of a side of `size` pixels. At least one pixel is left.
fn whole_pixels(start: f32, end: f32, size: f32) -> (u32, u32) {
    let first = start.round().clamp(0.0, size - 1.0);
    let end = end.round().clamp(first + 1.0, size);
    (first as u32, (end - first) as u32)
}

#[cfg(test)]
mod tests {
    use super::whole_pixels;

    #[test]
    fn a_box_is_rounded_and_clipped_and_keeps_a_pixel() {
        for ((start, end), expected) in [
            ((10.4, 20.6), (10, 11)),
            ((-7.0, 20.2), (0, 20)),
            ((90.0, 140.0), (90, 10)),
            ((-5.0, 200.0), (0, 100)),
            // Thinner than a pixel, and beyond the picture.
            ((30.1, 30.2), (30, 1)),
            ((120.0, 140.0), (99, 1)),
            ((-40.0, -3.0), (0, 1)),
        ] {
            assert_eq!(whole_pixels(start, end, 100.0), expected, "{start} to {end}");
        }
        assert_eq!(whole_pixels(-0.3, 1.4, 1.0), (0, 1));
    }
}
