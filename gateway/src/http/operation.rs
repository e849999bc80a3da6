//! What callers can ask for: paths, and the names that metrics and logs use.

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
/// The process runs.
pub(super) const LIVEZ: &str = "/livez";
/// The process can do its work.
pub(super) const READYZ: &str = "/readyz";

/// The name of the operation at a matched route; all other paths are one, so that callers cannot make names.
pub(super) fn name(route: Option<&str>) -> &'static str {
    match route {
        Some(CAPABILITIES) => "capabilities",
        Some(FACES) => "create_face",
        Some(MATCH_IMAGES) => "match_images",
        Some(MATCH) => "match",
        Some(JWKS) => "jwks",
        Some(SIGNING_CERTIFICATE) => "signing_certificate",
        Some(LIVEZ) => "livez",
        Some(READYZ) => "readyz",
        _ => "unknown",
    }
}
