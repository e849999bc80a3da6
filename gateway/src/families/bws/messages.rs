//! Conversions between the gRPC messages and the types of requests and answers.

use super::answer::{
    BwsStatus, FaceProperties, ImageProperties, JobError, LivenessDetection, PhotoVerify, PointD,
    QualityAssessment,
};
use super::request::{Detection, LiveImage, Verification};
use super::verification_level::VerificationLevel;
use crate::proto;
use crate::proto::v1::photo_verify_response::AccuracyLevel;

impl From<proto::ImageData> for LiveImage {
    fn from(data: proto::ImageData) -> Self {
        Self { image: data.image, tags: data.tags }
    }
}

impl From<proto::v1::LivenessDetectionRequest> for Detection {
    fn from(request: proto::v1::LivenessDetectionRequest) -> Self {
        Self { live_images: request.live_images.into_iter().map(Into::into).collect() }
    }
}

impl From<proto::v1::PhotoVerifyRequest> for Verification {
    fn from(request: proto::v1::PhotoVerifyRequest) -> Self {
        Self {
            live_images: request.live_images.into_iter().map(Into::into).collect(),
            photo: request.photo,
            disable_liveness_detection: request.disable_liveness_detection,
        }
    }
}

impl From<LivenessDetection> for proto::v1::LivenessDetectionResponse {
    fn from(answer: LivenessDetection) -> Self {
        Self {
            status: answer.status.into(),
            errors: all(answer.errors),
            image_properties: all(answer.image_properties),
            live: answer.live,
            liveness_score: answer.liveness_score,
        }
    }
}

impl From<PhotoVerify> for proto::v1::PhotoVerifyResponse {
    fn from(answer: PhotoVerify) -> Self {
        Self {
            status: answer.status.into(),
            errors: all(answer.errors),
            image_properties: all(answer.image_properties),
            photo_properties: answer.photo_properties.map(Into::into),
            verification_level: AccuracyLevel::from(answer.verification_level).into(),
            verification_score: answer.verification_score,
            live: answer.live,
            liveness_score: answer.liveness_score,
        }
    }
}

fn all<F, T: From<F>>(list: Vec<F>) -> Vec<T> {
    list.into_iter().map(Into::into).collect()
}

impl From<BwsStatus> for i32 {
    fn from(status: BwsStatus) -> Self {
        match status {
            BwsStatus::Succeeded => proto::JobStatus::Succeeded.into(),
        }
    }
}

impl From<JobError> for proto::JobError {
    fn from(error: JobError) -> Self {
        Self { error_code: error.error_code.as_str().to_owned(), message: error.message }
    }
}

impl From<ImageProperties> for proto::ImageProperties {
    fn from(image: ImageProperties) -> Self {
        Self {
            rotated: image.rotated,
            faces: all(image.faces),
            quality_score: image.quality_score,
            quality_assessments: all(image.quality_assessments),
            frame_number: image.frame_number,
        }
    }
}

impl From<FaceProperties> for proto::Face {
    fn from(face: FaceProperties) -> Self {
        Self {
            left_eye: Some(face.left_eye.into()),
            right_eye: Some(face.right_eye.into()),
            texture_liveness_score: face.texture_liveness_score,
            motion_liveness_score: face.motion_liveness_score,
            movement_direction: face.movement_direction,
        }
    }
}

impl From<PointD> for proto::PointD {
    fn from(PointD { x, y }: PointD) -> Self {
        Self { x, y }
    }
}

impl From<QualityAssessment> for proto::QualityAssessment {
    fn from(assessment: QualityAssessment) -> Self {
        Self {
            check: assessment.check.to_owned(),
            score: assessment.score,
            message: assessment.message.to_owned(),
        }
    }
}

impl From<VerificationLevel> for AccuracyLevel {
    fn from(level: VerificationLevel) -> Self {
        match level {
            VerificationLevel::NotRecognized => Self::NotRecognized,
            VerificationLevel::One => Self::Level1,
            VerificationLevel::Two => Self::Level2,
            VerificationLevel::Three => Self::Level3,
            VerificationLevel::Four => Self::Level4,
            VerificationLevel::Five => Self::Level5,
        }
    }
}
