//! Operations of Biometric Services that belong to no session.

use super::body::{AGE_FORM, Body, FACE_FORM, MATCH_FORM, MATCH_IMAGES_FORM};
use super::description::{Description, REFUSALS_WITH_BODY, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::accounts::Permission;
use crate::families::biometric::schema::name;
use crate::http::family::Family;

/// Read the capabilities of the service.
pub static CAPABILITIES: Operation = Operation {
    name: "capabilities",
    method: HttpMethod::Get,
    path: "/bioserver-app/v2/capabilities",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::CapabilitiesRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Service,
        summary: "Read the capabilities of the service",
        details: "",
        success: Success::One(name::CAPABILITIES),
        refusals: &[401, 403, 429, 500],
    }),
};

/// Describe the face in a picture.
pub static CREATE_FACE: Operation = Operation {
    name: "create_face",
    method: HttpMethod::Post,
    path: "/bioserver-app/v2/faces",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesCreate),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::Form(&FACE_FORM),
    description: Some(Description {
        tag: Tag::FacesAndMatches,
        summary: "Describe the face in a picture",
        details: "A picture that shows no face yields quality -10000 and no template. The service refuses a \
                  picture with more than one face.",
        success: Success::One(name::DIRECT_FACE),
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Compare the faces in two pictures.
pub static MATCH_IMAGES: Operation = Operation {
    name: "match_images",
    method: HttpMethod::Post,
    path: "/bioserver-app/v2/match/images",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::Match),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::Form(&MATCH_IMAGES_FORM),
    description: Some(Description {
        tag: Tag::FacesAndMatches,
        summary: "Compare the faces in two pictures",
        details: "",
        success: Success::One(name::DIRECT_MATCH),
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Compare a face of an earlier answer with a picture.
pub static MATCH: Operation = Operation {
    name: "match",
    method: HttpMethod::Post,
    path: "/bioserver-app/v2/match",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::Match),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::Form(&MATCH_FORM),
    description: Some(Description {
        tag: Tag::FacesAndMatches,
        summary: "Compare a face of an earlier answer with a picture",
        details: "",
        success: Success::One(name::DIRECT_MATCH),
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Estimate the age of the person in a picture.
pub static CREATE_AGE: Operation = Operation {
    name: "create_age",
    method: HttpMethod::Post,
    path: "/bioserver-app/v2/ages",
    family: Family::BiometricServices,
    access: Access::Permission(Permission::AgesCreate),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::Form(&AGE_FORM),
    description: Some(Description {
        tag: Tag::FacesAndMatches,
        summary: "Estimate the age of the person in a picture",
        details: "",
        success: Success::One(name::AGE),
        refusals: REFUSALS_WITH_BODY,
    }),
};
