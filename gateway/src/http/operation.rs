//! What callers can ask for: paths, and the names that metrics and logs use.

use http::Method;

/// Everything else.
const UNKNOWN: &str = "unknown";

/// `GET` the service's capabilities.
pub(super) const CAPABILITIES: &str = "/bioserver-app/v2/capabilities";
/// `POST` a picture, get its face.
pub(super) const FACES: &str = "/bioserver-app/v2/faces";
/// `POST` two pictures, get their match.
pub(super) const MATCH_IMAGES: &str = "/bioserver-app/v2/match/images";
/// `POST` a face and a picture, get their match.
pub(super) const MATCH: &str = "/bioserver-app/v2/match";
/// `GET` the public keys that check signatures.
pub(super) const JWKS: &str = "/.well-known/jwks.json";
/// `GET` the same as certificates.
pub(super) const SIGNING_CERTIFICATE: &str = "/.well-known/signing-certificate.pem";
/// `POST` a picture, get its age.
pub(super) const AGES: &str = "/bioserver-app/v2/ages";
/// `POST` a new session.
pub(super) const SESSIONS: &str = "/bioserver-app/v2/bio-sessions";
/// `GET` or `DELETE` a session.
pub(super) const SESSION: &str = "/bioserver-app/v2/bio-sessions/{session}";
/// `POST` a face of a session; `GET` or `DELETE` them all.
pub(super) const SESSION_FACES: &str = "/bioserver-app/v2/bio-sessions/{session}/faces";
/// `GET` or `DELETE` a face of a session.
pub(super) const SESSION_FACE: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}";
/// `GET` the picture of a face.
pub(super) const SESSION_FACE_IMAGE: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}/image";
/// `GET` a face's matches with the others of its session.
pub(super) const SESSION_MATCHES: &str = "/bioserver-app/v2/bio-sessions/{session}/faces/{face}/matches";
/// The session's id in these paths.
pub(super) const SESSION_ID: &str = "session";
/// The face's id in these paths.
pub(super) const FACE_ID: &str = "face";
/// The process runs.
pub(super) const LIVEZ: &str = "/livez";
/// The process can do its work.
pub(super) const READYZ: &str = "/readyz";

/// The description of all of these, for programs.
pub(super) const OPENAPI: &str = "/openapi.json";
/// The description of all of these, for people, who can try them there.
pub(super) const DOCS: &str = "/docs/";
/// Leads to that page.
pub(super) const DOCS_BARE: &str = "/docs";
/// A file of that page.
pub(super) const DOCS_FILE: &str = "/docs/{file}";

/// Every operation: method, route, name.
pub(super) const ALL: &[(Method, &str, &str)] = &[
    (Method::GET, CAPABILITIES, "capabilities"),
    (Method::POST, FACES, "create_face"),
    (Method::POST, MATCH_IMAGES, "match_images"),
    (Method::POST, MATCH, "match"),
    (Method::POST, AGES, "create_age"),
    (Method::POST, SESSIONS, "create_session"),
    (Method::GET, SESSION, "get_session"),
    (Method::DELETE, SESSION, "delete_session"),
    (Method::POST, SESSION_FACES, "create_session_face"),
    (Method::GET, SESSION_FACES, "get_session_faces"),
    (Method::DELETE, SESSION_FACES, "delete_session_faces"),
    (Method::GET, SESSION_FACE, "get_session_face"),
    (Method::DELETE, SESSION_FACE, "delete_session_face"),
    (Method::GET, SESSION_FACE_IMAGE, "get_session_face_image"),
    (Method::GET, SESSION_MATCHES, "get_session_matches"),
    (Method::GET, JWKS, "jwks"),
    (Method::GET, SIGNING_CERTIFICATE, "signing_certificate"),
    (Method::GET, LIVEZ, "livez"),
    (Method::GET, READYZ, "readyz"),
    (Method::GET, OPENAPI, "openapi"),
    (Method::GET, DOCS_BARE, "docs"),
    (Method::GET, DOCS, "docs"),
    (Method::GET, DOCS_FILE, "docs"),
];

/// The name of the operation at a matched route; all other paths are one, so that callers cannot make names, and so are
/// methods that a route does not take.
pub(super) fn name(method: &Method, route: Option<&str>) -> &'static str {
    let known = ALL.iter().find(|(known, path, _)| known == method && route == Some(*path));
    known.map_or(UNKNOWN, |(_, _, name)| name)
}
