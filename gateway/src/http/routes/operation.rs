//! What callers can ask for: paths, and the names that metrics and logs use.

use http::Method;

/// Everything else.
const UNKNOWN: &str = "unknown";

/// `GET` the service's capabilities.
pub(in crate::http) const CAPABILITIES: &str = "/bioserver-app/v2/capabilities";
/// `POST` a picture, get its face.
pub(in crate::http) const FACES: &str = "/bioserver-app/v2/faces";
/// `POST` two pictures, get their match.
pub(in crate::http) const MATCH_IMAGES: &str = "/bioserver-app/v2/match/images";
/// `POST` a face and a picture, get their match.
pub(in crate::http) const MATCH: &str = "/bioserver-app/v2/match";
/// `POST` a picture, get whether its person lives.
pub(in crate::http) const FACE_LIVENESS: &str = "/api/v1/face/liveness";
/// `GET` the public keys that check signatures.
pub(in crate::http) const JWKS: &str = "/.well-known/jwks.json";
/// `GET` the same as certificates.
pub(in crate::http) const SIGNING_CERTIFICATE: &str = "/.well-known/signing-certificate.pem";
/// `POST` a picture, get its age.
pub(in crate::http) const AGES: &str = "/bioserver-app/v2/ages";
/// `POST` a new session.
pub(in crate::http) const SESSIONS: &str = "/bioserver-app/v2/bio-sessions";
/// `GET` or `DELETE` a session.
pub(in crate::http) const SESSION: &str = "/bioserver-app/v2/bio-sessions/{session}";
/// `POST` a face of a session; `GET` or `DELETE` them all.
pub(in crate::http) const SESSION_FACES: &str = "/bioserver-app/v2/bio-sessions/{session}/faces";
/// `GET` or `DELETE` a face of a session.
pub(in crate::http) const SESSION_FACE: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}";
/// `GET` the picture of a face.
pub(in crate::http) const SESSION_FACE_IMAGE: &str =
    "/bioserver-app/v2/bio-sessions/{session}/faces/{face}/image";
/// `GET` a face's matches with the others of its session.
pub(in crate::http) const SESSION_MATCHES: &str =
    "/bioserver-app/v2/bio-sessions/{session}/faces/{face}/matches";
/// The session's id in these paths.
pub(in crate::http) const SESSION_ID: &str = "session";
/// The face's id in these paths.
pub(in crate::http) const FACE_ID: &str = "face";
/// `POST` one or two pictures, get whether they show a living person.
pub(in crate::http) const LIVENESS_DETECTION: &str = "/api/v1/livenessdetection";
/// `POST` live pictures and a photo, get whether they show the same person.
pub(in crate::http) const PHOTO_VERIFY: &str = "/api/v1/photoverify";
/// `POST` a video, get whether it shows a living person.
pub(in crate::http) const VIDEO_LIVENESS_DETECTION: &str = "/api/v1/videolivenessdetection";
/// The same over gRPC.
pub(in crate::http) const GRPC_LIVENESS_DETECTION: &str =
    "/bioid.services.v1.BioIDWebService/LivenessDetection";
/// The same over gRPC.
pub(in crate::http) const GRPC_PHOTO_VERIFY: &str = "/bioid.services.v1.BioIDWebService/PhotoVerify";
/// The same over gRPC.
pub(in crate::http) const GRPC_VIDEO_LIVENESS_DETECTION: &str =
    "/bioid.services.v1.BioIDWebService/VideoLivenessDetection";
/// Whether the service works, as gRPC asks.
pub(in crate::http) const GRPC_HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
/// The same, and each change.
pub(in crate::http) const GRPC_HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
/// What can be asked over gRPC.
pub(in crate::http) const GRPC_REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// The same in the version before.
pub(in crate::http) const GRPC_REFLECTION_ALPHA: &str =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
/// The process runs.
pub(in crate::http) const LIVEZ: &str = "/livez";
/// The process can do its work.
pub(in crate::http) const READYZ: &str = "/readyz";

/// The description of all of these, for programs.
pub(in crate::http) const OPENAPI: &str = "/openapi.json";
/// The description of all of these, for people, who can try them there.
pub(in crate::http) const DOCS: &str = "/docs/";
/// Leads to that page.
pub(in crate::http) const DOCS_BARE: &str = "/docs";
/// A file of that page.
pub(in crate::http) const DOCS_FILE: &str = "/docs/{file}";

/// Something that callers can ask for.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The method.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What metrics and logs call it.
    pub name: &'static str,
}

/// All operations over REST.
pub const OPERATIONS: &[Operation] = &[
    Operation { method: "GET", path: CAPABILITIES, name: "capabilities" },
    Operation { method: "POST", path: FACES, name: "create_face" },
    Operation { method: "POST", path: MATCH_IMAGES, name: "match_images" },
    Operation { method: "POST", path: MATCH, name: "match" },
    Operation { method: "POST", path: AGES, name: "create_age" },
    Operation { method: "POST", path: SESSIONS, name: "create_session" },
    Operation { method: "GET", path: SESSION, name: "get_session" },
    Operation { method: "DELETE", path: SESSION, name: "delete_session" },
    Operation { method: "POST", path: SESSION_FACES, name: "create_session_face" },
    Operation { method: "GET", path: SESSION_FACES, name: "get_session_faces" },
    Operation { method: "DELETE", path: SESSION_FACES, name: "delete_session_faces" },
    Operation { method: "GET", path: SESSION_FACE, name: "get_session_face" },
    Operation { method: "DELETE", path: SESSION_FACE, name: "delete_session_face" },
    Operation { method: "GET", path: SESSION_FACE_IMAGE, name: "get_session_face_image" },
    Operation { method: "GET", path: SESSION_MATCHES, name: "get_session_matches" },
    Operation { method: "POST", path: LIVENESS_DETECTION, name: "liveness_detection" },
    Operation { method: "POST", path: PHOTO_VERIFY, name: "photo_verify" },
    Operation { method: "POST", path: VIDEO_LIVENESS_DETECTION, name: "video_liveness_detection" },
    Operation { method: "POST", path: FACE_LIVENESS, name: "face_liveness" },
    Operation { method: "GET", path: JWKS, name: "jwks" },
    Operation { method: "GET", path: SIGNING_CERTIFICATE, name: "signing_certificate" },
    Operation { method: "GET", path: LIVEZ, name: "livez" },
    Operation { method: "GET", path: READYZ, name: "readyz" },
    Operation { method: "GET", path: OPENAPI, name: "openapi" },
    Operation { method: "GET", path: DOCS_BARE, name: "docs" },
    Operation { method: "GET", path: DOCS, name: "docs" },
    Operation { method: "GET", path: DOCS_FILE, name: "docs" },
];

/// All operations over gRPC.
const CALLS: &[Operation] = &[
    Operation { method: "POST", path: GRPC_LIVENESS_DETECTION, name: "liveness_detection" },
    Operation { method: "POST", path: GRPC_PHOTO_VERIFY, name: "photo_verify" },
    Operation { method: "POST", path: GRPC_VIDEO_LIVENESS_DETECTION, name: "video_liveness_detection" },
    Operation { method: "POST", path: GRPC_HEALTH_CHECK, name: "grpc_health" },
    Operation { method: "POST", path: GRPC_HEALTH_WATCH, name: "grpc_health" },
    Operation { method: "POST", path: GRPC_REFLECTION, name: "grpc_reflection" },
    Operation { method: "POST", path: GRPC_REFLECTION_ALPHA, name: "grpc_reflection" },
];

/// The name of the operation at a matched route; all other paths are one, so that callers cannot make names, and so are
/// methods that a route does not take.
pub(in crate::http) fn name(method: &Method, route: Option<&str>) -> &'static str {
    let is_it = |operation: &&Operation| Some(operation.path) == route && operation.method == method.as_str();
    OPERATIONS.iter().chain(CALLS).find(is_it).map_or(UNKNOWN, |operation| operation.name)
}
