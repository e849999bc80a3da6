//! Position and size of a face in its picture.

use crate::pipeline::geometry::Rect;
use crate::pipeline::models::surroundings;
use crate::pipeline::search::Candidate;

/// Indices of the middles of lower lip and chin in the iBUG scheme.
const LOWER_LIP: usize = 57;
const CHIN: usize = 8;

/// Distance to a border, in eye distances, within which a box ends at it. No whole face of LFW and NUAA is nearer than
/// 0.4.
const BORDER_TOUCH_DISTANCE: f32 = 0.1;

/// Position and size of a face in its picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    /// Distance from the face to the nearest border, in eye distances; negative where a part lies beyond it. The lower
    /// half of the chin does not count, because many selfies cut it off.
    pub(super) margin: f32,
    /// Height over width of the detector's box, where the box ends at the lower border. If the chin is cut off, all
    /// landmarks lie within the visible part, so the landmarks alone do not show it.
    pub(super) aspect_at_border: Option<f32>,
    /// Eye distance over the picture's shorter side.
    pub(super) of_shorter_side: f32,
    /// Eye distance over the picture's longer side.
    pub(super) of_longer_side: f32,
    /// Side of the widest square crop that the picture holds, in sides of the face.
    pub(super) surroundings: f32,
}

impl Framing {
    pub(super) fn new(candidate: &Candidate) -> Self {
        let Candidate { landmarks, frame, detection, .. } = candidate;
        let area = &detection.area;
        let around = Rect::around(&landmarks.0);
        let bottom = (landmarks.0[LOWER_LIP][1] + landmarks.0[CHIN][1]) / 2.0;
        let margins = [around.left, around.top, frame.width - around.right, frame.height - bottom];
        let nearest = margins.into_iter().fold(f32::INFINITY, f32::min);
        let eyes = candidate.eye_distance();
        let ends_at_border = frame.height - area.bottom < BORDER_TOUCH_DISTANCE * eyes;
        Self {
            margin: nearest / eyes.max(f32::MIN_POSITIVE),
            aspect_at_border: ends_at_border.then(|| area.height() / area.width()),
            of_shorter_side: eyes / frame.width.min(frame.height),
            of_longer_side: eyes / frame.width.max(frame.height),
            surroundings: surroundings(area, frame.width, frame.height),
        }
    }
}
