//! Operations of BWS over REST, and the same as gRPC methods.

use super::body::{Body, BodyLimit};
use super::description::{Description, REFUSALS_WITH_BODY, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::accounts::Permission;
use crate::http::family::Family;
use crate::http::openapi::names;

/// The longest body of JSON, in bytes: pictures of 50 MiB in base64, and some text.
const MAX_JSON_BYTES: usize = 70 << 20;

/// Detect whether one or two pictures show a living person.
pub static LIVENESS_DETECTION: Operation = Operation {
    name: "liveness_detection",
    method: HttpMethod::Post,
    path: "/api/v1/livenessdetection",
    family: Family::Bws,
    access: Access::Permission(Permission::LivenessDetect),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::JsonWithPictures {
        schema: names::LIVENESS_DETECTION_REQUEST,
        limit: BodyLimit::Bytes(MAX_JSON_BYTES),
    },
    description: Some(Description {
        tag: Tag::Bws,
        summary: "Detect whether one or two pictures show a living person",
        details: "With two pictures, the person must have moved between them; with tags on the second \
                  picture, in the directions of the tags.",
        success: Success::One(names::LIVENESS_DETECTION),
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Compare live pictures with a photo.
pub static PHOTO_VERIFY: Operation = Operation {
    name: "photo_verify",
    method: HttpMethod::Post,
    path: "/api/v1/photoverify",
    family: Family::Bws,
    access: Access::Permission(Permission::PhotosVerify),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::JsonWithPictures {
        schema: names::PHOTO_VERIFY_REQUEST,
        limit: BodyLimit::Bytes(MAX_JSON_BYTES),
    },
    description: Some(Description {
        tag: Tag::Bws,
        summary: "Compare live pictures with a photo",
        details: "Liveness detection runs on the live pictures, too, unless the request disables it.",
        success: Success::One(names::PHOTO_VERIFY),
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Detect whether a video shows a living person.
pub static VIDEO_LIVENESS_DETECTION: Operation = Operation {
    name: "video_liveness_detection",
    method: HttpMethod::Post,
    path: "/api/v1/videolivenessdetection",
    family: Family::Bws,
    access: Access::Permission(Permission::LivenessDetect),
    makes_job: MakesJob::Video,
    is_idempotent: false,
    body: Body::JsonWithPictures {
        schema: names::VIDEO_LIVENESS_DETECTION_REQUEST,
        limit: BodyLimit::Bytes(MAX_JSON_BYTES),
    },
    description: Some(Description {
        tag: Tag::Bws,
        summary: "Detect whether a video shows a living person",
        details: "The service judges frames at equal distance. Seven that show a living person decide, \
                  or seven that do not. A video with fewer frames that can be judged has the error \
                  `FailureToAcquire`.",
        success: Success::One(names::LIVENESS_DETECTION),
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// The gRPC method `LivenessDetection`.
pub static GRPC_LIVENESS_DETECTION: Operation = Operation {
    name: LIVENESS_DETECTION.name,
    method: HttpMethod::Post,
    path: "/bioid.services.v1.BioIDWebService/LivenessDetection",
    family: Family::Grpc,
    access: LIVENESS_DETECTION.access,
    makes_job: LIVENESS_DETECTION.makes_job,
    is_idempotent: false,
    body: Body::GrpcMessage,
    description: None,
};

/// The gRPC method `PhotoVerify`.
pub static GRPC_PHOTO_VERIFY: Operation = Operation {
    name: PHOTO_VERIFY.name,
    method: HttpMethod::Post,
    path: "/bioid.services.v1.BioIDWebService/PhotoVerify",
    family: Family::Grpc,
    access: PHOTO_VERIFY.access,
    makes_job: PHOTO_VERIFY.makes_job,
    is_idempotent: false,
    body: Body::GrpcMessage,
    description: None,
};

/// The gRPC method `VideoLivenessDetection`.
pub static GRPC_VIDEO_LIVENESS_DETECTION: Operation = Operation {
    name: VIDEO_LIVENESS_DETECTION.name,
    method: HttpMethod::Post,
    path: "/bioid.services.v1.BioIDWebService/VideoLivenessDetection",
    family: Family::Grpc,
    access: VIDEO_LIVENESS_DETECTION.access,
    makes_job: VIDEO_LIVENESS_DETECTION.makes_job,
    is_idempotent: false,
    body: Body::GrpcMessage,
    description: None,
};
