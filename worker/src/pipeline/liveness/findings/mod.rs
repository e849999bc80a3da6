//! Findings: defects of a live picture or its face.
//!
//! A finding does not accuse anyone of an attack. A face that cannot be seen well is not judged, and the caller is
//! asked for another picture.

mod framing;

use faceline_shared::job::examination::{Check, Finding};
use faceline_shared::settings::FindingSettings;

use self::framing::Framing;
use crate::picture::Picture;
use crate::pipeline::quality::{Measures, quality};
use crate::pipeline::search::Candidate;

/// Shorter and longer side in pixels above which a picture is larger than callers need to send.
const LARGE_SIDES_PIXELS: (f32, f32) = (1200.0, 1600.0);

/// Weight of the landmarks' spread beside the similarity when a cover is measured. With 2, 14 of 18 masks measure more
/// than 99.5 % of LFW's faces; with 0, only 11 do.
const SPREAD_WEIGHT: f32 = 2.0;

/// Lower bound of the quality.
const WORST_QUALITY: f32 = -500.0;

/// The finding of a picture that is larger than necessary.
pub(super) fn check_size(picture: &Picture) -> Option<Finding> {
    let (width, height) = picture.size();
    let (shorter, longer) = (width.min(height) as f32, width.max(height) as f32);
    let score = (LARGE_SIDES_PIXELS.0 / shorter).max(LARGE_SIDES_PIXELS.1 / longer);
    (score < 1.0).then_some(Finding { check: Check::ImageSize, score })
}

/// The findings of a face, in the order of [`Check`]. `covered_similarity` is the similarity of the face to itself with
/// the lower half painted over, -1 to 1.
pub(super) fn check_face(
    candidate: &Candidate,
    measures: &Measures,
    covered_similarity: f32,
    bounds: &FindingSettings,
) -> Vec<Finding> {
    let Framing { margin, aspect_at_border, of_shorter_side, of_longer_side, surroundings } =
        Framing::new(candidate);
    let both_sides = |value: f32, limit: f32| at_most(value.abs(), limit);
    let scores = [
        (
            Check::FaceCropped,
            margin_score(margin, bounds.cropped_margin)
                .min(aspect_at_border.map_or(1.0, |aspect| at_least(aspect, bounds.cropped_aspect))),
        ),
        (
            Check::FaceTooClose,
            at_most(of_shorter_side, bounds.max_eye_part)
                .min(at_least(surroundings, bounds.min_surroundings)),
        ),
        (Check::FaceCloseToBorder, margin_score(margin, bounds.min_margin)),
        (
            Check::FaceTooSmall,
            at_least(measures.inter_eye_distance, bounds.min_eye_distance)
                .min(at_least(of_longer_side, bounds.min_eye_part)),
        ),
        (
            Check::FaceTurnedAway,
            both_sides(measures.yaw, bounds.max_yaw).min(both_sides(measures.pitch, bounds.max_pitch)),
        ),
        (
            Check::FaceCovered,
            at_most(covered_similarity + SPREAD_WEIGHT * measures.landmark_spread, bounds.max_cover)
                .min(at_most(measures.eye_shade, bounds.max_eye_shade)),
        ),
        (
            Check::FaceExposure,
            at_least(measures.luminance, bounds.min_luminance)
                .min(at_most(measures.luminance, bounds.max_luminance))
                .min(at_most(measures.over_exposure, bounds.max_white))
                .min(at_least(measures.dynamic_range, bounds.min_contrast)),
        ),
        (Check::FaceBlurred, at_least(measures.sharpness, bounds.min_sharpness)),
    ];
    let defects = scores.into_iter().filter(|(_, score)| *score < 1.0);
    let mut findings: Vec<Finding> = defects.map(|(check, score)| Finding { check, score }).collect();
    // A face of bad quality without another finding is hidden by something: hair, hands, scarves.
    let rest = at_least(quality(measures) as f32 - WORST_QUALITY, bounds.min_quality - WORST_QUALITY);
    if findings.is_empty() && rest < 1.0 {
        findings.push(Finding { check: Check::FaceCovered, score: rest });
    }
    findings
}

/// 1 from `min` on; below it the ratio of `value` to `min`.
fn at_least(value: f32, min: f32) -> f32 {
    if value >= min { 1.0 } else { clamped(value / min) }
}

/// 1 up to `max`; above it the ratio of `max` to `value`.
fn at_most(value: f32, max: f32) -> f32 {
    if value <= max { 1.0 } else { clamped(max / value) }
}

/// 1 from a margin of `min` on, 0 where half of the face is missing.
fn margin_score(margin: f32, min: f32) -> f32 {
    /// From the outline to the face's middle, in eye distances.
    const HALF_FACE: f32 = 1.0;
    if margin >= min { 1.0 } else { clamped((HALF_FACE + margin) / (HALF_FACE + min)) }
}

/// Keeps the score of a value beyond its bound below 1. NaN has the score 0.
fn clamped(score: f32) -> f32 {
    const MAX_SCORE: f32 = 0.999;
    if score.is_nan() { 0.0 } else { score.clamp(0.0, MAX_SCORE) }
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
