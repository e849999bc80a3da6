//! Where a face lies in its picture.

use crate::pipeline::candidate::Candidate;
use crate::pipeline::rect::Rect;

/// The middles of lower lip and chin in the iBUG scheme.
const LOWER_LIP: usize = 57;
const CHIN: usize = 8;

/// Eye distances within which a box ends at a border. Of whole faces of LFW and NUAA none is nearer than 0.4.
const AT_BORDER: f32 = 0.1;

/// A face's place and size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    /// From the face to the nearest border, in eye distances; negative where a part lies beyond. The lower half of the
    /// chin may be missing: it is in many pictures that people take of themselves.
    pub(super) margin: f32,
    /// Height over width of the detector's box where it ends at the lower border, since landmarks of a face whose chin is
    /// cut off crowd into what is left of it.
    pub(super) aspect_at_border: Option<f32>,
    /// Eye distance over the picture's shorter side.
    pub(super) of_shorter_side: f32,
    /// Eye distance over the picture's longer side.
    pub(super) of_longer_side: f32,
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
        let ends_at_border = frame.height - area.bottom < AT_BORDER * eyes;
        Self {
            margin: nearest / eyes.max(f32::MIN_POSITIVE),
            aspect_at_border: ends_at_border.then(|| area.height() / area.width()),
            of_shorter_side: eyes / frame.width.min(frame.height),
            of_longer_side: eyes / frame.width.max(frame.height),
        }
    }
}
