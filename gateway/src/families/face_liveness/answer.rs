//! The answer, and the error codes in it. The comments of [`LivenessAnswer`] are texts of the OpenAPI document.

use faceline_shared::job::examination::Check;
use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::Fault;

/// The liveness score of a picture, or an error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LivenessAnswer<'a> {
    /// The `sessionId` of the request; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "bbbf9002-c3a2-4308-b103-d80b9f5a2b84")]
    session_id: Option<&'a str>,
    /// Above 0 to 1; a higher score means more likely a living person. The recommended threshold is 0.5. Absent if
    /// there is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f32, required = false, minimum = 0, maximum = 1, example = 0.9997104)]
    score: Option<f32>,
    /// Whether there is an error.
    has_error: bool,
    /// The code of the error; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "FACE_NOT_FOUND")]
    error: Option<&'static str>,
}

impl<'a> LivenessAnswer<'a> {
    /// The answer for a picture: its score, or the reason why it has none.
    #[must_use]
    pub fn new(session_id: Option<&'a str>, judged: Result<f32, PictureFault>) -> Self {
        match judged {
            Ok(score) => Self { session_id, score: Some(score), has_error: false, error: None },
            Err(fault) => Self::error(session_id, fault.code()),
        }
    }

    /// The answer to a request that the service refused.
    #[must_use]
    pub fn refused(session_id: Option<&'a str>, fault: &Fault) -> Self {
        Self::error(session_id, code(fault))
    }

    fn error(session_id: Option<&'a str>, code: &'static str) -> Self {
        Self { session_id, score: None, has_error: true, error: Some(code) }
    }
}

/// The reason why a picture has no score.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PictureFault {
    /// The picture shows no face, or none that is recognizable.
    FaceNotFound,
    /// The picture shows more than one face.
    TooManyFaces,
    /// [`Check::FaceTooClose`].
    FaceTooClose,
    /// [`Check::FaceCloseToBorder`].
    FaceCloseToBorder,
    /// [`Check::FaceCropped`].
    FaceCropped,
    /// [`Check::FaceCovered`].
    FaceIsOccluded,
    /// [`Check::FaceTooSmall`].
    FaceTooSmall,
    /// [`Check::FaceTurnedAway`].
    FaceAngleTooLarge,
    /// The file is not a readable picture, or could not be fetched from its URL.
    InvalidImage,
}

impl PictureFault {
    /// All faults.
    pub const ALL: [Self; 9] = [
        Self::FaceNotFound,
        Self::TooManyFaces,
        Self::FaceTooClose,
        Self::FaceCloseToBorder,
        Self::FaceCropped,
        Self::FaceIsOccluded,
        Self::FaceTooSmall,
        Self::FaceAngleTooLarge,
        Self::InvalidImage,
    ];

    /// The fault for a check that rejects a face.
    #[must_use]
    pub fn of(check: Check) -> Self {
        match check {
            Check::FaceCropped => Self::FaceCropped,
            Check::FaceTooClose => Self::FaceTooClose,
            Check::FaceCloseToBorder => Self::FaceCloseToBorder,
            Check::FaceTooSmall => Self::FaceTooSmall,
            Check::FaceTurnedAway => Self::FaceAngleTooLarge,
            Check::FaceCovered => Self::FaceIsOccluded,
            // The API has no codes for exposure and blur, so the face counts as not recognizable. `ImageSize` never
            // rejects a face.
            Check::ImageSize | Check::FaceExposure | Check::FaceBlurred => Self::FaceNotFound,
        }
    }

    /// The code that callers read.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::FaceNotFound => "FACE_NOT_FOUND",
            Self::TooManyFaces => "TOO_MANY_FACES",
            Self::FaceTooClose => "FACE_TOO_CLOSE",
            Self::FaceCloseToBorder => "FACE_CLOSE_TO_BORDER",
            Self::FaceCropped => "FACE_CROPPED",
            Self::FaceIsOccluded => "FACE_IS_OCCLUDED",
            Self::FaceTooSmall => "FACE_TOO_SMALL",
            Self::FaceAngleTooLarge => "FACE_ANGLE_TOO_LARGE",
            Self::InvalidImage => "INVALID_IMAGE",
        }
    }
}

/// The code of an error that the picture did not cause.
#[must_use]
pub fn code(fault: &Fault) -> &'static str {
    match fault {
        Fault::UrlNotAllowed(_) => "URL_NOT_ALLOWED",
        _ => match fault.row().face_liveness {
            400 => "INVALID_REQUEST",
            401 => "UNAUTHORIZED",
            403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            405 => "METHOD_NOT_ALLOWED",
            408 => "REQUEST_TIMEOUT",
            413 => "REQUEST_TOO_LARGE",
            429 => "TOO_MANY_REQUESTS",
            503 => "SERVICE_UNAVAILABLE",
            _ => "INTERNAL_ERROR",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &LivenessAnswer<'_>) -> String {
        String::from_utf8(crate::families::json::to_vec(answer).unwrap()).unwrap()
    }

    #[test]
    fn answers_stand_as_in_the_text() {
        let session = "bbbf9002-c3a2-4308-b103-d80b9f5a2b84";
        assert_eq!(
            text(&LivenessAnswer::new(Some(session), Ok(0.9997104))),
            format!(r#"{{"sessionId":"{session}","score":0.9997104,"hasError":false}}"#)
        );
        assert_eq!(
            text(&LivenessAnswer::new(Some(session), Ok(0.002324))),
            format!(r#"{{"sessionId":"{session}","score":0.002324,"hasError":false}}"#)
        );
        assert_eq!(
            text(&LivenessAnswer::new(Some(session), Err(PictureFault::FaceNotFound))),
            format!(r#"{{"sessionId":"{session}","hasError":true,"error":"FACE_NOT_FOUND"}}"#)
        );
        assert_eq!(text(&LivenessAnswer::new(None, Ok(1.0))), r#"{"score":1,"hasError":false}"#);
        assert_eq!(
            text(&LivenessAnswer::refused(None, &Fault::SlowBody)),
            r#"{"hasError":true,"error":"REQUEST_TIMEOUT"}"#
        );
    }
}
