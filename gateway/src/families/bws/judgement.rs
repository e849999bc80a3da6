//! Presentation attack detection: decides from a worker's scores whether the pictures show a living person, and gives
//! the errors if they do not.

use faceline_shared::job::examination::{Examined, ExaminedPicture};
use faceline_shared::liveness::SecurityLevel;

use super::answer::{ErrorCode, ImageProperties, JobError, LivenessDetection, QualityAssessment, is_cut};

/// Fraction of the threshold that passive scores must exceed if there are two pictures. The motion score must exceed
/// the threshold as well, which that of a flat picture does not. With the full threshold, two pictures would double
/// the chance of rejecting a living person.
const PASSIVE_FRACTION_WITH_MOTION: f32 = 0.5;

/// The answer to a liveness detection. Every score must be above `threshold`.
pub(super) fn judge(examined: &Examined, threshold: f32) -> LivenessDetection {
    let passive_threshold =
        if examined.live.len() > 1 { threshold * PASSIVE_FRACTION_WITH_MOTION } else { threshold };
    let mut errors = Vec::new();
    let mut scores = Vec::new();
    for (at, picture) in examined.live.iter().enumerate() {
        let liveness = picture.faces.first().and_then(|face| face.liveness);
        scores.extend(liveness);
        let code = face_error(picture, picture.rejection().is_none() && liveness.is_some()).or_else(|| {
            let is_live = liveness.is_some_and(|score| score > passive_threshold);
            (!is_live).then_some(ErrorCode::RejectedByPassiveLiveDetection)
        });
        errors.extend(code.map(|code| error(code, &format!("live image {}", at + 1))));
    }
    scores.extend(examined.motion.map(|motion| motion.score));
    if examined.live.len() > 1 {
        errors.extend(motion_error(examined, threshold, errors.is_empty()).map(|code| error(code, "")));
        if examined.motion.is_some_and(|motion| !motion.follows) {
            errors.push(error(ErrorCode::RejectedByChallengeResponse, ""));
        }
    }
    let score = mean(&scores);
    let mut images = properties(examined);
    for (image, picture) in images.iter_mut().zip(&examined.live) {
        let liveness = picture.faces.first().and_then(|face| face.liveness);
        if let Some(score) = liveness.filter(|score| is_in_doubt(*score, passive_threshold)) {
            image.quality_assessments.push(QualityAssessment::doubt(score));
        }
    }
    LivenessDetection::new(errors.clone(), images, errors.is_empty(), score)
}

/// Whether a score that `threshold` rejects still passes the lowest security level, so another picture may pass.
pub(super) fn is_in_doubt(score: f32, threshold: f32) -> bool {
    score > SecurityLevel::Low.threshold() && score <= threshold
}

/// The error of two live pictures that do not show the motion of one living person. Without a motion score there is
/// an error only if the single pictures pass (`pictures_pass`).
fn motion_error(examined: &Examined, threshold: f32, pictures_pass: bool) -> Option<ErrorCode> {
    let Some(motion) = examined.motion else {
        // One of the pictures could not be judged, and already has an error of its own.
        return pictures_pass.then_some(ErrorCode::RejectedByActiveLiveDetection);
    };
    let is_natural = motion.score > threshold;
    let is_one_person = examined.same_person != Some(false);
    (!is_natural || !is_one_person).then_some(ErrorCode::RejectedByActiveLiveDetection)
}

/// The answer if the caller disabled liveness detection: live pictures have errors only if they cannot be compared.
pub(super) fn without_liveness(examined: &Examined) -> LivenessDetection {
    let is_compared = examined.verification.is_some();
    let errors = examined.live.iter().enumerate().filter_map(|(at, picture)| {
        // A poor picture is acceptable if the comparison succeeded, or if another picture made it fail.
        let is_usable = is_compared || picture.rejection().is_none();
        face_error(picture, is_usable).map(|code| error(code, &format!("live image {}", at + 1)))
    });
    LivenessDetection::new(errors.collect(), properties(examined), false, 0.0)
}

/// The error of a photo that cannot be compared.
pub(super) fn photo_error(photo: &ExaminedPicture, is_compared: bool) -> Option<JobError> {
    // A poor photo is acceptable if the comparison succeeded.
    let is_usable = is_compared || photo.rejection().is_none();
    face_error(photo, is_usable).map(|code| error(code, "photo"))
}

/// The error of the face in a picture. `is_usable` states whether its quality suffices.
pub(super) fn face_error(picture: &ExaminedPicture, is_usable: bool) -> Option<ErrorCode> {
    match picture.faces.len() {
        0 => Some(ErrorCode::FaceNotFound),
        1 if is_usable => None,
        1 if picture.rejection().is_some_and(is_cut) => Some(ErrorCode::ThumbnailExtractionFailed),
        1 => Some(ErrorCode::FaceNotFound),
        _ => Some(ErrorCode::MultipleFacesFound),
    }
}

/// An error with its text. `picture` is the name of the picture in the text.
pub(super) fn error(error_code: ErrorCode, picture: &str) -> JobError {
    let message = match error_code {
        ErrorCode::FaceNotFound => format!("No suitable face was found in the {picture}."),
        ErrorCode::MultipleFacesFound => format!("More than one face was found in the {picture}."),
        ErrorCode::ThumbnailExtractionFailed => {
            format!(
                "The face in the {picture} could not be extracted: it is not fully visible, or too close to the edge."
            )
        }
        ErrorCode::RejectedByPassiveLiveDetection => {
            format!("The {picture} seems not to be recorded from a live person.")
        }
        ErrorCode::RejectedByActiveLiveDetection => {
            "The motion from one live image to the other is not that of a live person.".into()
        }
        ErrorCode::RejectedByChallengeResponse => "The head did not move in the requested directions.".into(),
        ErrorCode::FailureToAcquire => "There are too few frames in which the person can be judged.".into(),
    };
    JobError { error_code, message }
}

/// The properties of the live pictures.
fn properties(examined: &Examined) -> Vec<ImageProperties> {
    let of = |(at, picture)| {
        // The motion is from the first picture to the second one, and belongs to the second.
        ImageProperties::new(picture, examined.motion.as_ref().filter(|_| at == 1))
    };
    examined.live.iter().enumerate().map(of).collect()
}

/// The mean; 0 for an empty list.
fn mean(scores: &[f32]) -> f64 {
    let sum: f64 = scores.iter().copied().map(f64::from).sum();
    sum / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use faceline_shared::face::Eyes;
    use faceline_shared::job::examination::{Check, ExaminedFace, Finding, Motion};
    use faceline_shared::score::Far;

    use super::*;

    fn picture(faces: &[Option<f32>], checks: &[Check]) -> ExaminedPicture {
        let eyes = Eyes { x1: 1.0, y1: 2.0, x2: 3.0, y2: 4.0 };
        ExaminedPicture {
            rotated: 90,
            faces: faces.iter().map(|liveness| ExaminedFace { eyes, liveness: *liveness }).collect(),
            quality: 0.5,
            findings: checks.iter().map(|check| Finding { check: *check, score: 0.25 }).collect(),
        }
    }

    fn one(picture: ExaminedPicture) -> Examined {
        Examined { live: vec![picture], motion: None, same_person: None, photo: None, verification: None }
    }

    fn two(scores: [f32; 2], motion: Option<(f32, bool)>, same_person: Option<bool>) -> Examined {
        let live = scores.map(|score| picture(&[Some(score)], &[])).into();
        let motion = motion.map(|(score, follows)| Motion { score, direction: Some(90.0), follows });
        Examined { live, motion, same_person, photo: None, verification: None }
    }

    fn codes(detection: &LivenessDetection) -> Vec<ErrorCode> {
        assert_eq!(detection.live, detection.errors.is_empty());
        assert!(detection.errors.iter().all(|error| error.message.ends_with('.')));
        detection.errors.iter().map(|error| error.error_code).collect()
    }

    #[test]
    fn a_picture_in_doubt_asks_for_another_one() {
        let asked = |score: f32, threshold: f32| {
            let judged = judge(&one(picture(&[Some(score)], &[])), threshold);
            let assessments = &judged.image_properties[0].quality_assessments;
            let names: Vec<&str> = assessments.iter().map(|assessment| assessment.check).collect();
            (judged.live, names)
        };
        assert_eq!(asked(0.4, 0.5), (false, vec!["SuitableFace"]));
        assert_eq!(asked(0.2, 0.5), (false, vec![]), "no doubt");
        assert_eq!(asked(0.6, 0.5), (true, vec![]));
        assert_eq!(asked(0.25, 0.25), (false, vec![]), "the lowest level has no band below it");
        let judged = judge(&one(picture(&[Some(0.4)], &[])), 0.5);
        assert_eq!(judged.errors[0].error_code, ErrorCode::RejectedByPassiveLiveDetection);
        assert!(judged.image_properties[0].quality_assessments[0].message.contains("Take another one"));
    }

    #[test]
    fn one_picture_is_live_above_the_threshold() {
        for (score, expected) in [
            (0.5, &[ErrorCode::RejectedByPassiveLiveDetection][..]),
            (0.5001, &[]),
            (0.0001, &[ErrorCode::RejectedByPassiveLiveDetection]),
        ] {
            let judged = judge(&one(picture(&[Some(score)], &[Check::ImageSize])), 0.5);
            assert_eq!(codes(&judged), expected, "{score}");
            assert_eq!(judged.liveness_score, f64::from(score));
        }
    }

    #[test]
    fn a_face_that_cannot_be_judged_has_a_code_of_its_own() {
        let not_found = ErrorCode::FaceNotFound;
        let cut = ErrorCode::ThumbnailExtractionFailed;
        let several = ErrorCode::MultipleFacesFound;
        for (faces, checks, code) in [
            (&[][..], &[][..], not_found),
            (&[Some(0.9), Some(0.9)], &[], several),
            (&[None, None], &[Check::FaceBlurred], several),
            (&[None], &[], not_found),
            (&[None], &[Check::FaceTooSmall], not_found),
            (&[None], &[Check::FaceTurnedAway], not_found),
            (&[None], &[Check::FaceCovered], not_found),
            (&[None], &[Check::FaceExposure], not_found),
            (&[None], &[Check::FaceBlurred], not_found),
            // A worker that computed a score nevertheless.
            (&[Some(0.9)], &[Check::FaceBlurred], not_found),
            (&[None], &[Check::FaceCropped, Check::FaceBlurred], cut),
            (&[None], &[Check::FaceTooClose], cut),
            (&[None], &[Check::ImageSize, Check::FaceCloseToBorder], cut),
        ] {
            let examined = one(picture(faces, checks));
            assert_eq!(codes(&judge(&examined, 0.5)), [code], "{examined:?}");
        }
        assert_eq!(judge(&one(picture(&[], &[])), 0.5).liveness_score, 0.0);
    }

    #[test]
    fn two_pictures_need_all_scores_one_person_and_what_was_asked_for() {
        let passive = ErrorCode::RejectedByPassiveLiveDetection;
        let active = ErrorCode::RejectedByActiveLiveDetection;
        let challenge = ErrorCode::RejectedByChallengeResponse;
        for (scores, motion, same_person, expected) in [
            ([0.75, 0.75], Some((0.75, true)), Some(true), &[][..]),
            ([0.26, 0.75], Some((0.75, true)), Some(true), &[]),
            ([0.25, 0.75], Some((0.75, true)), Some(true), &[passive]),
            ([0.25, 0.25], Some((0.75, true)), Some(true), &[passive, passive]),
            ([0.75, 0.75], Some((0.5, true)), Some(true), &[active]),
            ([0.75, 0.75], Some((0.75, true)), Some(false), &[active]),
            ([0.75, 0.75], Some((0.25, true)), Some(false), &[active]),
            ([0.75, 0.75], Some((0.75, false)), Some(true), &[challenge]),
            ([0.25, 0.75], Some((0.25, false)), Some(false), &[passive, active, challenge]),
            // There is no motion score.
            ([0.75, 0.75], None, Some(true), &[active]),
            ([0.25, 0.75], None, None, &[passive]),
            // A comparison of persons counts only if the pictures could be judged.
            ([0.25, 0.75], None, Some(false), &[passive]),
        ] {
            let examined = two(scores, motion, same_person);
            assert_eq!(codes(&judge(&examined, 0.5)), expected, "{examined:?}");
        }
        let judged = judge(&two([0.25, 0.75], Some((0.875, true)), Some(true)), 0.5);
        assert_eq!(judged.liveness_score, 0.625);
        assert_eq!(judged.errors[0].message, "The live image 1 seems not to be recorded from a live person.");
    }

    #[test]
    fn only_the_second_picture_moved() {
        let judged = judge(&two([0.75, 0.75], Some((0.875, true)), Some(true)), 0.5);
        let json = serde_json::to_value(&judged).unwrap();
        let moved: Vec<_> = json["imageProperties"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| {
                (
                    image["faces"][0]["motionLivenessScore"].clone(),
                    image["faces"][0]["movementDirection"].clone(),
                )
            })
            .collect();
        assert_eq!(moved, [(0.0.into(), 0.0.into()), (0.875.into(), 90.0.into())]);
    }

    #[test]
    fn without_liveness_only_what_cannot_be_compared_is_an_error() {
        let examined = |faces: &[Option<f32>], checks: &[Check], verification| Examined {
            verification,
            same_person: Some(false),
            ..one(picture(faces, checks))
        };
        let far = Some(Far::ONE);
        for (examined, expected) in [
            (examined(&[None], &[], far), &[][..]),
            (examined(&[None], &[Check::FaceBlurred], far), &[]),
            (examined(&[None], &[], None), &[]),
            (examined(&[None], &[Check::FaceBlurred], None), &[ErrorCode::FaceNotFound]),
            (examined(&[None], &[Check::FaceCropped], None), &[ErrorCode::ThumbnailExtractionFailed]),
            (examined(&[], &[], None), &[ErrorCode::FaceNotFound]),
            (examined(&[None, None], &[], None), &[ErrorCode::MultipleFacesFound]),
        ] {
            let answer = without_liveness(&examined);
            let codes: Vec<_> = answer.errors.iter().map(|error| error.error_code).collect();
            assert_eq!(
                (codes.as_slice(), answer.live, answer.liveness_score),
                (expected, false, 0.0),
                "{examined:?}"
            );
        }
    }

    #[test]
    fn a_poor_photo_may_do() {
        let code = |faces: &[Option<f32>], checks: &[Check], is_compared| {
            photo_error(&picture(faces, checks), is_compared).map(|error| error.error_code)
        };
        assert_eq!(code(&[None], &[Check::FaceTooSmall], true), None);
        assert_eq!(code(&[None], &[Check::FaceTooSmall], false), Some(ErrorCode::FaceNotFound));
        assert_eq!(code(&[None], &[Check::FaceCropped], false), Some(ErrorCode::ThumbnailExtractionFailed));
        assert_eq!(code(&[], &[], false), Some(ErrorCode::FaceNotFound));
        assert_eq!(code(&[None, None], &[], true), Some(ErrorCode::MultipleFacesFound));
        // A live picture made the comparison fail.
        assert_eq!(code(&[None], &[], false), None);
    }
}
