//! The answers, for gRPC and JSON. JSON contains every value, including defaults. Only the photo's properties are
//! omitted if there are none.
//!
//! The comments of these types are texts of the OpenAPI document.

use faceline_shared::face::Eyes;
use faceline_shared::job::examination::{Check, ExaminedPicture, Finding, Motion};
use faceline_shared::job::replay::ExaminedFrame;
use serde::Serialize;
use utoipa::ToSchema;

use super::verification_level::VerificationLevel;

/// The result of a job.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = BwsStatus)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum BwsStatus {
    /// The job was completed. A job that fails has an error instead of an answer.
    Succeeded,
}

/// The answer to a liveness detection.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LivenessDetection {
    /// The result of the job.
    pub(super) status: BwsStatus,
    /// The reasons why `live` is false; empty if it is true.
    pub(super) errors: Vec<JobError>,
    /// The properties of each picture, in the order of the request, or of each judged frame of a video.
    pub(super) image_properties: Vec<ImageProperties>,
    /// Whether the pictures show a living person.
    pub(super) live: bool,
    /// The mean of all liveness scores; 0 if none was computed.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) liveness_score: f64,
}

/// The answer to a comparison of live pictures with a photo.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhotoVerify {
    /// The result of the job.
    pub(super) status: BwsStatus,
    /// The reasons why the live pictures failed liveness detection, or could not be compared with the photo.
    pub(super) errors: Vec<JobError>,
    /// The properties of each live picture, in the order of the request.
    pub(super) image_properties: Vec<ImageProperties>,
    /// The properties of the photo; absent if the liveness detection failed.
    #[schema(value_type = ImageProperties, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) photo_properties: Option<ImageProperties>,
    /// The accuracy level that the comparison reaches.
    pub(super) verification_level: VerificationLevel,
    /// Grows with the accuracy level, for information only; 0 if nothing was compared.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) verification_score: f64,
    /// Whether the live pictures show a living person.
    pub(super) live: bool,
    /// The mean of all liveness scores; 0 if none was computed.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) liveness_score: f64,
}

/// An error of a job.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = BwsJobError)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct JobError {
    /// The code, for programs.
    pub(super) error_code: ErrorCode,
    /// A message for people.
    pub(super) message: String,
}

/// The code of a job's error.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[schema(as = BwsErrorCode)]
pub(super) enum ErrorCode {
    /// A picture shows no face, or none that can be judged.
    FaceNotFound,
    /// A picture shows more than one face.
    MultipleFacesFound,
    /// The face is cut by the picture's border, or too close to it.
    ThumbnailExtractionFailed,
    /// A picture does not show a living person.
    RejectedByPassiveLiveDetection,
    /// Between the pictures, the face did not move as that of a living person.
    RejectedByActiveLiveDetection,
    /// The head did not move in the requested directions.
    RejectedByChallengeResponse,
    /// A video has too few frames that can be judged.
    FailureToAcquire,
}

impl ErrorCode {
    /// Whether the code says that there is evidence of an attack, and not that the media cannot be judged.
    pub(super) fn is_rejection(self) -> bool {
        match self {
            Self::RejectedByPassiveLiveDetection
            | Self::RejectedByActiveLiveDetection
            | Self::RejectedByChallengeResponse => true,
            Self::FaceNotFound
            | Self::MultipleFacesFound
            | Self::ThumbnailExtractionFailed
            | Self::FailureToAcquire => false,
        }
    }

    /// The code as clients know it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::FaceNotFound => "FaceNotFound",
            Self::MultipleFacesFound => "MultipleFacesFound",
            Self::ThumbnailExtractionFailed => "ThumbnailExtractionFailed",
            Self::RejectedByPassiveLiveDetection => "RejectedByPassiveLiveDetection",
            Self::RejectedByActiveLiveDetection => "RejectedByActiveLiveDetection",
            Self::RejectedByChallengeResponse => "RejectedByChallengeResponse",
            Self::FailureToAcquire => "FailureToAcquire",
        }
    }
}

/// The properties of a picture.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BwsImageProperties)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ImageProperties {
    /// The clockwise rotation of the picture, in degrees, that makes the face upright: 0, 90, 180 or 270.
    #[schema(minimum = 0, maximum = 270, multiple_of = 90)]
    pub(super) rotated: i32,
    /// The faces, the largest first.
    pub(super) faces: Vec<FaceProperties>,
    /// The quality of the picture for its purpose; 0 if it shows no face.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) quality_score: f64,
    /// The checks that the picture fails.
    pub(super) quality_assessments: Vec<QualityAssessment>,
    /// The number of the frame in the video, counted from 0; 0 for a picture.
    pub(super) frame_number: i32,
}

/// A face in a picture.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BwsFace)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FaceProperties {
    /// The person's left eye, on the right of the picture.
    pub(super) left_eye: PointD,
    /// The person's right eye, on the left of the picture.
    pub(super) right_eye: PointD,
    /// The score of passive liveness; 0 if it was not computed.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) texture_liveness_score: f64,
    /// The score of active liveness, from the movement since the previous picture; 0 if it was not computed.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) motion_liveness_score: f64,
    /// The direction in which the nose moved since the previous picture, in degrees counter-clockwise from the
    /// picture's right: 90 is up, 180 left, 270 down, 360 right. 0 if it was not computed, or the head did not move.
    #[schema(minimum = 0, maximum = 360)]
    pub(super) movement_direction: f64,
}

/// A point in a picture, in pixels.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = BwsPoint)]
#[serde(deny_unknown_fields)]
pub(super) struct PointD {
    /// Distance from the left edge.
    pub(super) x: f64,
    /// Distance from the upper edge.
    pub(super) y: f64,
}

/// A check that a picture fails.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BwsQualityAssessment)]
#[serde(deny_unknown_fields)]
pub(super) struct QualityAssessment {
    /// The name of the check.
    pub(super) check: &'static str,
    /// The score that the picture reached in the check; 1 is the best.
    #[schema(minimum = 0, maximum = 1)]
    pub(super) score: f64,
    /// A message for people.
    pub(super) message: &'static str,
}

impl QualityAssessment {
    /// The finding of a picture whose passive liveness is neither clear enough for an attack nor for a living person.
    pub(super) fn doubt(score: f32) -> Self {
        let message = "The picture leaves doubt whether a living person was recorded. Take another one, in even light and with nothing \
                       shiny or lit behind the person.";
        Self { check: "SuitableFace", score: score.into(), message }
    }
}

impl LivenessDetection {
    pub(super) fn new(errors: Vec<JobError>, images: Vec<ImageProperties>, live: bool, score: f64) -> Self {
        Self { status: BwsStatus::Succeeded, errors, image_properties: images, live, liveness_score: score }
    }
}

impl PhotoVerify {
    /// The answer of a photo verification without a comparison.
    pub(super) fn not_compared(detection: LivenessDetection, photo: Option<ImageProperties>) -> Self {
        let LivenessDetection { status, errors, image_properties, live, liveness_score } = detection;
        Self {
            status,
            errors,
            image_properties,
            photo_properties: photo,
            verification_level: VerificationLevel::NotRecognized,
            verification_score: 0.0,
            live,
            liveness_score,
        }
    }
}

impl ImageProperties {
    /// Converts a worker's findings in a frame of a video.
    pub(super) fn of_frame(frame: &ExaminedFrame) -> Self {
        let frame_number = i32::try_from(frame.number).unwrap_or(i32::MAX);
        Self { frame_number, ..Self::new(&frame.picture, None) }
    }

    /// Converts a worker's findings in a picture. `motion` is the movement of the face since the previous picture.
    pub(super) fn new(picture: &ExaminedPicture, motion: Option<&Motion>) -> Self {
        let faces = picture.faces.iter().enumerate().map(|(at, face)| {
            let motion = motion.filter(|_| at == 0);
            let Eyes { x1, y1, x2, y2 } = face.eyes;
            let point = |x, y| PointD { x: f64::from(x), y: f64::from(y) };
            FaceProperties {
                left_eye: point(x2, y2),
                right_eye: point(x1, y1),
                texture_liveness_score: face.liveness.map_or(0.0, f64::from),
                motion_liveness_score: motion.map_or(0.0, |motion| f64::from(motion.score)),
                movement_direction: motion.and_then(|motion| motion.direction).map_or(0.0, f64::from),
            }
        });
        Self {
            rotated: picture.rotated.into(),
            faces: faces.collect(),
            quality_score: picture.quality.into(),
            quality_assessments: assessments(&picture.findings),
            frame_number: 0,
        }
    }
}

/// The failed checks under the names that clients know. `SuitableFace` comes first, and represents all checks that
/// reject the face.
fn assessments(findings: &[Finding]) -> Vec<QualityAssessment> {
    let mut all = Vec::with_capacity(findings.len() + 1);
    let unsuitable = findings.iter().filter(|finding| finding.check.rejects() && !is_cut(finding.check));
    if let Some(score) = unsuitable.map(|finding| finding.score).reduce(f32::min) {
        let message = "The face is not suitable for a liveness detection or a comparison.";
        all.push(QualityAssessment { check: "SuitableFace", score: score.into(), message });
    }
    all.extend(findings.iter().map(|Finding { check, score }| {
        let (check, message) = name_and_message(*check);
        QualityAssessment { check, score: (*score).into(), message }
    }));
    all
}

/// Whether the check states that the face is cut, or that the picture has too small a margin around it.
pub(super) fn is_cut(check: Check) -> bool {
    matches!(check, Check::FaceCropped | Check::FaceTooClose | Check::FaceCloseToBorder)
}

/// Name and text of a check.
fn name_and_message(check: Check) -> (&'static str, &'static str) {
    match check {
        Check::ImageSize => ("ImageSize", "The image is larger than needed and was scaled down."),
        Check::FaceCropped => ("FullyVisibleFace", "The face reaches beyond the image."),
        Check::FaceTooClose => ("FullyVisibleFace", "The face is too close to the camera."),
        Check::FaceCloseToBorder => ("FullyVisibleFace", "The face is too close to the image's border."),
        Check::FaceTooSmall => ("FaceSize", "The face is too small."),
        Check::FaceTurnedAway => ("HeadPose", "The head is turned away from the camera."),
        Check::FaceCovered => ("FaceOcclusion", "The face is covered."),
        Check::FaceExposure => ("Exposure", "The face is too dark or too bright, or has no contrast."),
        Check::FaceBlurred => ("Sharpness", "The face is blurred."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_the_names_that_they_know_and_the_reason() {
        let found = |checks: &[Check]| {
            let finding =
                |(at, check): (usize, &Check)| Finding { check: *check, score: 0.5 - at as f32 / 8.0 };
            let findings: Vec<_> = checks.iter().enumerate().map(finding).collect();
            let said = assessments(&findings);
            assert!(said.iter().all(|said| said.message.ends_with('.')));
            said.iter().map(|said| (said.check, said.score)).collect::<Vec<_>>()
        };
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[Check::ImageSize]), [("ImageSize", 0.5)]);
        for cut in [Check::FaceCropped, Check::FaceTooClose, Check::FaceCloseToBorder] {
            assert_eq!(found(&[cut]), [("FullyVisibleFace", 0.5)]);
        }
        assert_eq!(
            found(&[Check::ImageSize, Check::FaceTooSmall, Check::FaceBlurred]),
            [("SuitableFace", 0.25), ("ImageSize", 0.5), ("FaceSize", 0.375), ("Sharpness", 0.25)]
        );
        for (check, name) in [
            (Check::FaceTurnedAway, "HeadPose"),
            (Check::FaceCovered, "FaceOcclusion"),
            (Check::FaceExposure, "Exposure"),
        ] {
            assert_eq!(found(&[check]), [("SuitableFace", 0.5), (name, 0.5)]);
        }
    }

    #[test]
    fn codes_are_the_same_on_both_ways() {
        for code in [
            ErrorCode::FaceNotFound,
            ErrorCode::MultipleFacesFound,
            ErrorCode::ThumbnailExtractionFailed,
            ErrorCode::RejectedByPassiveLiveDetection,
            ErrorCode::RejectedByActiveLiveDetection,
            ErrorCode::RejectedByChallengeResponse,
            ErrorCode::FailureToAcquire,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
