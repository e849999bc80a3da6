//! Operations of sessions and of the faces in them.

use serde_json::json;

use super::body::{Body, FACE_FORM};
use super::description::{Description, REFUSALS_IN_SESSION, REFUSALS_WITH_BODY, Success, Tag};
use super::operation::{Access, HttpMethod, MakesJob, Operation};
use crate::accounts::Permission;
use crate::families::biometric::schema::name;
use crate::http::family::Family;
use crate::http::openapi::names;

/// The parameter of the paths below that is the session's id.
pub(in crate::http) const SESSION_ID: &str = "session";
/// The parameter of the paths below that is the face's id.
pub(in crate::http) const FACE_ID: &str = "face";

const SESSIONS: &str = "/bioserver-app/v2/bio-sessions";
const SESSION: &str = "/bioserver-app/v2/bio-sessions/{session}";
const FACES: &str = "/bioserver-app/v2/bio-sessions/{session}/faces";
const FACE: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}";
const FACE_IMAGE: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}/image";
const FACE_MATCHES: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}/matches";

/// Create a session.
pub static CREATE_SESSION: Operation = Operation {
    name: "create_session",
    method: HttpMethod::Post,
    path: SESSIONS,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::SessionsCreate),
    makes_job: MakesJob::Never,
    is_idempotent: true,
    body: Body::Json {
        schema: names::NEW_SESSION,
        example: || json!({"correlationId": "891a6728-1ac4-11e7-93ae-92361f002671", "imageStorageEnabled": true}),
    },
    description: Some(Description {
        tag: Tag::Sessions,
        summary: "Create a session",
        details: "The body may be empty.",
        success: Success::Created,
        refusals: REFUSALS_WITH_BODY,
    }),
};

/// Read a session.
pub static GET_SESSION: Operation = Operation {
    name: "get_session",
    method: HttpMethod::Get,
    path: SESSION,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::SessionsRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Sessions,
        summary: "Read a session",
        details: "",
        success: Success::One(name::SESSION),
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// End a session and delete all that is in it.
pub static DELETE_SESSION: Operation = Operation {
    name: "delete_session",
    method: HttpMethod::Delete,
    path: SESSION,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::SessionsDelete),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::Sessions,
        summary: "End a session",
        details: "The service deletes its faces and their pictures.",
        success: Success::NoContent,
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Add a face to a session. A picture makes a job, the JSON of an earlier answer does not.
pub static CREATE_SESSION_FACE: Operation = Operation {
    name: "create_session_face",
    method: HttpMethod::Post,
    path: FACES,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesCreate),
    makes_job: MakesJob::Sometimes,
    is_idempotent: true,
    body: Body::FormOrJson { form: &FACE_FORM, json: names::NEW_FACE },
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Add a face to a session",
        details: "The face comes from a picture, or from the JSON of an earlier answer.",
        success: Success::Created,
        refusals: &[400, 401, 403, 404, 413, 429, 503],
    }),
};

/// Read all faces of a session.
pub static GET_SESSION_FACES: Operation = Operation {
    name: "get_session_faces",
    method: HttpMethod::Get,
    path: FACES,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Read all faces of a session",
        details: "The list is in the order in which the faces were added.",
        success: Success::List(name::SESSION_FACE),
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Delete all faces of a session.
pub static DELETE_SESSION_FACES: Operation = Operation {
    name: "delete_session_faces",
    method: HttpMethod::Delete,
    path: FACES,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesDelete),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Delete all faces of a session",
        details: "",
        success: Success::NoContent,
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Read a face of a session.
pub static GET_SESSION_FACE: Operation = Operation {
    name: "get_session_face",
    method: HttpMethod::Get,
    path: FACE,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesRead),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Read a face of a session",
        details: "",
        success: Success::One(name::SESSION_FACE),
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Delete a face of a session.
pub static DELETE_SESSION_FACE: Operation = Operation {
    name: "delete_session_face",
    method: HttpMethod::Delete,
    path: FACE,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesDelete),
    makes_job: MakesJob::Never,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Delete a face of a session",
        details: "",
        success: Success::NoContent,
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Read the picture of a face. Workers compress it where the caller asks for that.
pub static GET_SESSION_FACE_IMAGE: Operation = Operation {
    name: "get_session_face_image",
    method: HttpMethod::Get,
    path: FACE_IMAGE,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::FacesRead),
    makes_job: MakesJob::Sometimes,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Read the picture of a face",
        details: "The answer is the file as received, with the media type that its first bytes indicate.",
        success: Success::Picture,
        refusals: REFUSALS_IN_SESSION,
    }),
};

/// Compare a face with all others of its session.
pub static GET_SESSION_MATCHES: Operation = Operation {
    name: "get_session_matches",
    method: HttpMethod::Get,
    path: FACE_MATCHES,
    family: Family::BiometricServices,
    access: Access::Permission(Permission::Match),
    makes_job: MakesJob::Always,
    is_idempotent: false,
    body: Body::None,
    description: Some(Description {
        tag: Tag::SessionFaces,
        summary: "Compare a face with all others of its session",
        details: "The list has all matches, whatever their score, with the best first.",
        success: Success::List(name::SESSION_MATCH),
        refusals: REFUSALS_IN_SESSION,
    }),
};
