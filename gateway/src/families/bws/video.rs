//! The answer to a liveness detection in a video, from the verdict of a worker.

use std::collections::BTreeMap;

use faceline_shared::job::VideoExamined;
use faceline_shared::job::replay::{ExaminedFrame, SpoofReason, Verdict};

use super::answer::{ErrorCode, ImageProperties, JobError, LivenessDetection, QualityAssessment};
use super::judgement::{error, face_error, is_in_doubt};

/// The answer for a video that a worker has judged. `threshold` is that of the security level of the worker's
/// judgement.
pub(super) fn judge(examined: &VideoExamined, threshold: f32) -> LivenessDetection {
    let errors = match examined.verdict {
        Verdict::Success => Vec::new(),
        Verdict::Spoof(reason) => vec![rejection(reason)],
        // A video fails if too few of its frames can be judged, for any reason.
        Verdict::Failed(_) | Verdict::Error(_) => failure(&examined.frames),
    };
    let is_live = errors.is_empty();
    // A loop or a cut rejects a video even if its frames pass. A caller that reads only the score must not accept it.
    let score = examined.liveness.map(|score| if is_live { score } else { score.min(threshold) });
    let mut images: Vec<_> = examined.frames.iter().map(ImageProperties::of_frame).collect();
    // The doubt is about the clip. It is reported at the first frame, since an answer has findings of frames only.
    if examined.verdict == Verdict::Spoof(SpoofReason::Presentation)
        && let Some(score) = examined.liveness.filter(|score| is_in_doubt(*score, threshold))
        && let Some(first) = images.first_mut()
    {
        first.quality_assessments.push(QualityAssessment::doubt(score));
    }
    LivenessDetection::new(errors, images, is_live, score.map_or(0.0, f64::from))
}

/// The error of a video that shows an attack.
fn rejection(reason: SpoofReason) -> JobError {
    let (error_code, message) = match reason {
        SpoofReason::Presentation => {
            return error(ErrorCode::RejectedByPassiveLiveDetection, "video");
        }
        SpoofReason::SecondPerson => {
            (ErrorCode::MultipleFacesFound, "More than one person was found in the video.")
        }
        SpoofReason::FlatMotion => {
            (ErrorCode::RejectedByActiveLiveDetection, "The face in the video moves as a flat picture does.")
        }
        SpoofReason::MovingBackground => (
            ErrorCode::RejectedByActiveLiveDetection,
            "The surroundings in the video move together with the face.",
        ),
        SpoofReason::Still => (ErrorCode::RejectedByActiveLiveDetection, "Nothing moves in the video."),
        SpoofReason::Frozen => {
            (ErrorCode::RejectedByActiveLiveDetection, "The video stands still for a while.")
        }
        SpoofReason::Loop => (ErrorCode::RejectedByActiveLiveDetection, "A part of the video is repeated."),
        SpoofReason::Cut => (ErrorCode::RejectedByActiveLiveDetection, "The video is cut."),
    };
    JobError { error_code, message: message.into() }
}

/// The errors of a video that cannot be judged: `FailureToAcquire`, and the errors of its frames.
fn failure(frames: &[ExaminedFrame]) -> Vec<JobError> {
    let mut numbers = BTreeMap::<ErrorCode, Vec<String>>::new();
    for ExaminedFrame { number, picture } in frames {
        if let Some(code) = face_error(picture, picture.rejection().is_none()) {
            numbers.entry(code).or_default().push(number.to_string());
        }
    }
    let of_frames = numbers.into_iter().map(|(code, numbers)| {
        let frames = if numbers.len() == 1 { "frame" } else { "frames" };
        error(code, &format!("{frames} {}", numbers.join(", ")))
    });
    [error(ErrorCode::FailureToAcquire, "")].into_iter().chain(of_frames).collect()
}

#[cfg(test)]
mod tests {
    use faceline_shared::face::Eyes;
    use faceline_shared::job::examination::{Check, ExaminedFace, ExaminedPicture, Finding};
    use faceline_shared::job::replay::FailedReason;

    use super::*;

    fn frame(number: u32, faces: usize, checks: &[Check]) -> ExaminedFrame {
        let eyes = Eyes { x1: 1.0, y1: 2.0, x2: 3.0, y2: 4.0 };
        let liveness = checks.is_empty().then_some(0.75);
        let picture = ExaminedPicture {
            rotated: 90,
            faces: vec![ExaminedFace { eyes, liveness }; faces],
            quality: 0.5,
            findings: checks.iter().map(|check| Finding { check: *check, score: 0.25 }).collect(),
        };
        ExaminedFrame { number, picture }
    }

    fn judged(frames: Vec<ExaminedFrame>, verdict: Verdict, liveness: Option<f32>) -> LivenessDetection {
        let detection = judge(&VideoExamined { frames, verdict, liveness }, 0.5);
        assert_eq!(detection.live, verdict == Verdict::Success);
        assert_eq!(detection.live, detection.errors.is_empty());
        assert!(detection.errors.iter().all(|error| error.message.ends_with('.')));
        detection
    }

    fn said(detection: &LivenessDetection) -> Vec<(ErrorCode, &str)> {
        detection.errors.iter().map(|error| (error.error_code, error.message.as_str())).collect()
    }

    #[test]
    fn a_living_person_has_the_videos_score_and_the_numbers_of_its_frames() {
        let frames = (0..7).map(|at| frame(at * 12, 1, &[])).collect();
        let detection = judged(frames, Verdict::Success, Some(0.875));
        assert_eq!(detection.liveness_score, 0.875);
        let json = serde_json::to_value(&detection).unwrap();
        let images = json["imageProperties"].as_array().unwrap();
        let numbers: Vec<_> = images.iter().map(|image| image["frameNumber"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 12, 24, 36, 48, 60, 72]);
        assert!(images.iter().all(|image| image["faces"][0]["textureLivenessScore"] == 0.75));
    }

    #[test]
    fn each_kind_of_attack_has_a_code_that_clients_know() {
        let active = ErrorCode::RejectedByActiveLiveDetection;
        for (reason, code) in [
            (SpoofReason::Presentation, ErrorCode::RejectedByPassiveLiveDetection),
            (SpoofReason::FlatMotion, active),
            (SpoofReason::MovingBackground, active),
            (SpoofReason::Still, active),
            (SpoofReason::Frozen, active),
            (SpoofReason::Loop, active),
            (SpoofReason::Cut, active),
            (SpoofReason::SecondPerson, ErrorCode::MultipleFacesFound),
        ] {
            let detection = judged(vec![frame(0, 1, &[])], Verdict::Spoof(reason), Some(0.25));
            assert_eq!(said(&detection).iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code]);
            assert_eq!(detection.liveness_score, 0.25);
        }
    }

    #[test]
    fn a_video_in_doubt_asks_for_another_one() {
        let asked = |reason, score| {
            let frames = vec![frame(0, 1, &[]), frame(9, 1, &[])];
            let detection = judged(frames, Verdict::Spoof(reason), Some(score));
            let images = detection.image_properties.iter();
            images.map(|image| image.quality_assessments.len()).collect::<Vec<_>>()
        };
        assert_eq!(asked(SpoofReason::Presentation, 0.4), [1, 0]);
        assert_eq!(asked(SpoofReason::Presentation, 0.2), [0, 0], "no doubt");
        assert_eq!(asked(SpoofReason::Loop, 0.4), [0, 0], "another video in better light would not help");
    }

    #[test]
    fn a_rejected_video_has_no_score_above_the_threshold() {
        let looped = judged(Vec::new(), Verdict::Spoof(SpoofReason::Loop), Some(0.9));
        assert_eq!(looped.liveness_score, 0.5);
    }

    #[test]
    fn a_video_that_cannot_be_judged_says_why_for_its_frames() {
        let frames = vec![
            frame(0, 0, &[]),
            frame(9, 1, &[Check::FaceBlurred]),
            frame(18, 1, &[Check::FaceCropped]),
            frame(27, 2, &[]),
            frame(36, 0, &[]),
            frame(45, 1, &[]),
        ];
        let detection = judged(frames, Verdict::Failed(FailedReason::FaceLost), None);
        assert_eq!(
            said(&detection),
            [
                (ErrorCode::FailureToAcquire, "There are too few frames in which the person can be judged."),
                (ErrorCode::FaceNotFound, "No suitable face was found in the frames 0, 9, 36."),
                (ErrorCode::MultipleFacesFound, "More than one face was found in the frame 27."),
                (
                    ErrorCode::ThumbnailExtractionFailed,
                    "The face in the frame 18 could not be extracted: it is not fully visible, or too close to the edge."
                ),
            ]
        );
        assert_eq!((detection.liveness_score, detection.image_properties.len()), (0.0, 6));
        let short = judged(Vec::new(), Verdict::Failed(FailedReason::TooShort), None);
        assert_eq!(said(&short).len(), 1);
    }
}
