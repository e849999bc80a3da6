//! What is wrong with a live picture or its face.
//!
//! A finding is no reproach of an attack: a face that cannot be seen well is not judged, and its owner is asked for
//! another picture.

mod cover;
mod framing;

use faceline_shared::job::examination::{Check, Finding};
use faceline_shared::settings::FindingSettings;

pub(super) use self::cover::{likeness, painted_over};
use self::framing::Framing;
use super::candidate::Candidate;
use super::quality::{Measures, quality};
use crate::picture::Picture;

/// A picture whose shorter and longer side are above these is larger than callers need to send.
const LARGE: (f32, f32) = (1200.0, 1600.0);

/// How much landmarks that stray say of a cover beside the likeness. With 2, of 18 masks 14 measure more than 99.5 % of
/// LFW's faces, with 0 they are 11.
const SPREAD_WEIGHT: f32 = 2.0;

/// No quality is lower.
const WORST_QUALITY: f32 = -500.0;

/// Whether the picture is larger than need be.
pub(super) fn checked_size(picture: &Picture) -> Option<Finding> {
    let (width, height) = picture.size();
    let (shorter, longer) = (width.min(height) as f32, width.max(height) as f32);
    let score = (LARGE.0 / shorter).max(LARGE.1 / longer);
    (score < 1.0).then_some(Finding { check: Check::ImageSize, score })
}

/// What is wrong with a face, in the order of [`Check`]. `likeness_covered` is how much it is like itself with its lower
/// half painted over, -1 to 1.
pub(super) fn checked(
    candidate: &Candidate,
    measures: &Measures,
    likeness_covered: f32,
    bounds: &FindingSettings,
) -> Vec<Finding> {
    let Framing { margin, aspect_at_border, of_shorter_side, of_longer_side } = Framing::new(candidate);
    let sides = |value: f32, most: f32| at_most(value.abs(), most);
    let scores = [
        (
            Check::FaceCropped,
            margin_score(margin, bounds.cropped_margin)
                .min(aspect_at_border.map_or(1.0, |aspect| at_least(aspect, bounds.cropped_aspect))),
        ),
        (Check::FaceTooClose, at_most(of_shorter_side, bounds.most_eye_part)),
        (Check::FaceCloseToBorder, margin_score(margin, bounds.least_margin)),
        (
            Check::FaceTooSmall,
            at_least(measures.inter_eye_distance, bounds.least_eye_distance)
                .min(at_least(of_longer_side, bounds.least_eye_part)),
        ),
        (
            Check::FaceTurnedAway,
            sides(measures.yaw, bounds.most_yaw).min(sides(measures.pitch, bounds.most_pitch)),
        ),
        (
            Check::FaceCovered,
            at_most(likeness_covered + SPREAD_WEIGHT * measures.landmark_spread, bounds.most_cover)
                .min(at_most(measures.eye_shade, bounds.most_eye_shade)),
        ),
        (
            Check::FaceExposure,
            at_least(measures.luminance, bounds.least_luminance)
                .min(at_most(measures.luminance, bounds.most_luminance))
                .min(at_most(measures.over_exposure, bounds.most_white))
                .min(at_least(measures.dynamic_range, bounds.least_contrast)),
        ),
        (Check::FaceBlurred, at_least(measures.sharpness, bounds.least_sharpness)),
    ];
    let wanting = scores.into_iter().filter(|(_, score)| *score < 1.0);
    let mut findings: Vec<Finding> = wanting.map(|(check, score)| Finding { check, score }).collect();
    // What makes a face useless, but is none of the others, hides it: hair, hands, scarves.
    let rest = at_least(quality(measures) as f32 - WORST_QUALITY, bounds.least_quality - WORST_QUALITY);
    if findings.is_empty() && rest < 1.0 {
        findings.push(Finding { check: Check::FaceCovered, score: rest });
    }
    findings
}

/// 1 from `least` on, below that the part of it that there is.
fn at_least(value: f32, least: f32) -> f32 {
    if value >= least { 1.0 } else { clamped(value / least) }
}

/// 1 up to `most`, beyond that the less the more there is.
fn at_most(value: f32, most: f32) -> f32 {
    if value <= most { 1.0 } else { clamped(most / value) }
}

/// 1 from `least` on, 0 where half a face is missing.
fn margin_score(margin: f32, least: f32) -> f32 {
    /// In eye distances, from the outline to the face's middle.
    const HALF: f32 = 1.0;
    if margin >= least { 1.0 } else { clamped((HALF + margin) / (HALF + least)) }
}

/// What was found wanting, or is no number, never has the full score.
fn clamped(score: f32) -> f32 {
    const MOST: f32 = 0.999;
    if score.is_nan() { 0.0 } else { score.clamp(0.0, MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_full_within_the_bound_and_fall_beyond() {
        assert_eq!([at_least(5.0, 4.0), at_least(4.0, 4.0), at_least(1.0, 4.0)], [1.0, 1.0, 0.25]);
        assert_eq!([at_most(3.0, 4.0), at_most(4.0, 4.0), at_most(8.0, 4.0)], [1.0, 1.0, 0.5]);
        assert_eq!([margin_score(0.1, 0.1), margin_score(-2.0, 0.1)], [1.0, 0.0]);
        assert!(margin_score(-0.2, -0.1) > margin_score(-0.5, -0.1));
    }

    #[test]
    fn what_is_no_number_is_found_wanting() {
        assert_eq!([at_least(f32::NAN, 4.0), at_most(f32::NAN, 4.0), margin_score(f32::NAN, 0.1)], [0.0; 3]);
    }
}
