//! One good request for each operation of the text.

use uuid::Uuid;

use crate::client::{Answer, form, send};
use crate::gateway::Gateway;

/// A request that is answered well where nothing is against it.
pub(crate) struct Probe {
    pub(crate) operation: &'static str,
    pub(crate) line: String,
    content_type: Option<&'static str>,
    body: Vec<u8>,
}

impl Probe {
    fn new(operation: &'static str, line: String) -> Self {
        Self { operation, line, content_type: None, body: Vec::new() }
    }

    fn form(operation: &'static str, line: String, parts: &[(&str, &str)]) -> Self {
        let parts: Vec<(&str, &[u8])> =
            parts.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
        let content_type = Some("multipart/form-data; boundary=b");
        Self { operation, line, content_type, body: form(&parts) }
    }

    fn json(operation: &'static str, line: String, body: &str) -> Self {
        Self { operation, line, content_type: Some("application/json"), body: body.into() }
    }

    /// Sends it with the key, where there is one.
    pub(crate) async fn send(&self, gateway: &Gateway, key: Option<&str>) -> Answer {
        let mut headers = Vec::new();
        headers.extend(key.map(|key| ("apikey", key)));
        headers.extend(self.content_type.map(|kind| ("Content-Type", kind)));
        send(gateway.address, &self.line, &headers, &self.body).await
    }

    /// The same with another path below the sessions.
    pub(crate) fn with_path(mut self, from: &str, to: &str) -> Self {
        self.line = self.line.replace(from, to);
        self
    }
}

/// Requests that belong to no session; `face` is JSON of a face.
pub(crate) fn direct(face: &str) -> Vec<Probe> {
    let post = |path: &str| format!("POST /bioserver-app/v2/{path}");
    vec![
        Probe::form("CreateDirectFaceFromImage", post("faces"), &[("imageType", "SELFIE"), ("image", "x")]),
        Probe::form(
            "ImagesMatch",
            post("match/images"),
            &[
                ("referenceImage", "x"),
                ("referenceImageType", "SELFIE"),
                ("candidateImage", "y"),
                ("candidateImageType", "SELFIE"),
            ],
        ),
        Probe::form(
            "Match",
            post("match"),
            &[("referenceFace", face), ("candidateImage", "y"), ("candidateImageType", "SELFIE")],
        ),
        Probe::form(
            "CreateDirectAgeFromImage",
            post("ages"),
            &[("age", r#"{"threshold":18}"#), ("image", "x")],
        ),
    ]
}

/// Requests for a session and a face in it, those that delete last; `json` is JSON of a face.
pub(crate) fn within(session: Uuid, face: Uuid, json: &str) -> Vec<Probe> {
    let at = |method: &str, rest: &str| format!("{method} /bioserver-app/v2/bio-sessions/{session}{rest}");
    vec![
        Probe::new("GetBioSession", at("GET", "")),
        Probe::form("CreateFaceFromImage", at("POST", "/faces"), &[("imageType", "SELFIE"), ("image", "x")]),
        Probe::json("CreateFaceFromJson", at("POST", "/faces"), json),
        Probe::new("GetFaces", at("GET", "/faces")),
        Probe::new("GetFace", at("GET", &format!("/faces/{face}"))),
        Probe::new("GetFaceImage", at("GET", &format!("/faces/{face}/image"))),
        Probe::new("GetMatches", at("GET", &format!("/faces/{face}/matches"))),
        Probe::new("DeleteFace", at("DELETE", &format!("/faces/{face}"))),
        Probe::new("DeleteFaces", at("DELETE", "/faces")),
        Probe::new("DeleteBioSession", at("DELETE", "")),
    ]
}

/// The request that creates a session.
pub(crate) fn create_session() -> Probe {
    Probe::new("CreateBioSession", "POST /bioserver-app/v2/bio-sessions".into())
}

/// The request for the capabilities.
pub(crate) fn capabilities() -> Probe {
    Probe::new("GetCapabilities", "GET /bioserver-app/v2/capabilities".into())
}
