//! The operation of Face Liveness.

use super::body::{Body, BodyLimit};
use super::description::{Description, REFUSALS_WITH_BODY, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::accounts::Permission;
use crate::http::family::Family;
use crate::http::openapi::names;

/// Judge whether a picture shows a living person.
pub static FACE_LIVENESS: Operation = Operation {
    name: "face_liveness",
    method: HttpMethod::Post,
    path: "/api/v1/face/liveness",
    family: Family::FaceLiveness,
    access: Access::Permission(Permission::LivenessDetect),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::JsonWithPictures { schema: names::LIVENESS_REQUEST, limit: BodyLimit::OnePicture },
    description: Some(Description {
        tag: Tag::FaceLiveness,
        summary: "Judge whether a picture shows a living person",
        details: "An error of the picture is answered with 200, `hasError` and one of the codes \
                  FACE_NOT_FOUND, TOO_MANY_FACES, FACE_TOO_CLOSE, FACE_CLOSE_TO_BORDER, FACE_CROPPED, \
                  FACE_IS_OCCLUDED, FACE_TOO_SMALL, FACE_ANGLE_TOO_LARGE and INVALID_IMAGE.",
        success: Success::Liveness,
        refusals: REFUSALS_WITH_BODY,
    }),
};
