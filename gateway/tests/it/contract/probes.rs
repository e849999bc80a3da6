//! One valid request for each operation of the specification.

use uuid::Uuid;

use crate::client::{Answer, form, send};
use crate::gateway::Gateway;

/// The user name that belongs to an API key of this name. HTTP Basic does not allow colons in user names.
pub(crate) fn user(key: &str) -> String {
    key.replace(':', " ")
}

/// A request that succeeds with a valid key.
pub(crate) struct Probe {
    pub(crate) operation: &'static str,
    pub(crate) line: String,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    credential: Credential,
}

/// The way in which a request carries its key.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Credential {
    /// In the header `apikey`.
    ApiKey,
    /// As the user of this name, whose password is `demo`.
    Basic,
}

impl Probe {
    fn new(operation: &'static str, line: String) -> Self {
        Self { operation, line, content_type: None, body: Vec::new(), credential: Credential::ApiKey }
    }

    fn form(operation: &'static str, line: String, parts: &[(&str, &str)]) -> Self {
        let parts: Vec<(&str, &[u8])> =
            parts.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
        let content_type = Some("multipart/form-data; boundary=b");
        Self { content_type, body: form(&parts), ..Self::new(operation, line) }
    }

    fn json(operation: &'static str, line: String, body: &str) -> Self {
        Self { content_type: Some("application/json"), body: body.into(), ..Self::new(operation, line) }
    }

    /// Sends the request, with the key if there is one.
    pub(crate) async fn send(&self, gateway: &Gateway, key: Option<&str>) -> Answer {
        let mut headers = Vec::new();
        let user = key.map(|key| base64_simd::STANDARD.encode_to_string(format!("{}:demo", user(key))));
        let basic = user.map(|user| format!("Basic {user}"));
        match self.credential {
            Credential::ApiKey => headers.extend(key.map(|key| ("apikey", key))),
            Credential::Basic => headers.extend(basic.as_deref().map(|basic| ("Authorization", basic))),
        }
        headers.extend(self.content_type.map(|kind| ("Content-Type", kind)));
        send(gateway.address, &self.line, &headers, &self.body).await
    }

    /// Sends the request with a capture token, and without a key.
    pub(crate) async fn send_with_token(&self, gateway: &Gateway, token: &str) -> Answer {
        let mut headers = vec![("X-Capture-Token", token)];
        headers.extend(self.content_type.map(|kind| ("Content-Type", kind)));
        send(gateway.address, &self.line, &headers, &self.body).await
    }

    /// Status of an error in the form of the probe's family.
    pub(crate) fn refused(&self, answer: &Answer) -> u16 {
        match self.credential {
            Credential::ApiKey => answer.error().0,
            Credential::Basic => answer.liveness_error().0,
        }
    }

    /// The same request with another path below the sessions.
    pub(crate) fn with_path(mut self, from: &str, to: &str) -> Self {
        self.line = self.line.replace(from, to);
        self
    }
}

/// Requests that belong to no session; `face` is the JSON of a face.
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

/// Requests for a session and a face in it, deletions last; `json` is the JSON of a face.
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
        Probe::json("InitLivenessParameters", at("POST", "/init-liveness-parameters"), PASSIVE_VIDEO),
        Probe::new("GetLivenessParameters", at("GET", "/liveness-parameters")),
        Probe::new("GetReplayStatusV2", at("GET", "/replay-liveness-metadata")),
        Probe::new("GetReplayStatus", at("GET", "/replay-liveness-metadata").replace("/v2/", "/v3/")),
        Probe::new("DeleteFace", at("DELETE", &format!("/faces/{face}"))),
        Probe::new("DeleteFaces", at("DELETE", "/faces")),
        Probe::new("DeleteBioSession", at("DELETE", "")),
    ]
}

/// The parameters of a replay.
const PASSIVE_VIDEO: &str = r#"[{"type":"LIVENESS_PASSIVE_VIDEO"}]"#;

/// The requests of web capture that belong to a session with a replay.
pub(crate) fn web_capture(session: Uuid) -> Vec<Probe> {
    let result = format!("GET /bioserver-app/v2/bio-sessions/{session}/liveness-challenge-result");
    let of_mode = format!("{result}/LIVENESS_PASSIVE_VIDEO/HIGH?numberOfChallenge=2");
    vec![Probe::new("GetChallengeResult", result), Probe::new("GetChallengeResultOfMode", of_mode)]
}

/// An upload for a session with a replay. Its metadata does not open, so authorised callers get 400.
pub(crate) fn upload(session: Uuid) -> Probe {
    let line = format!("POST /bioserver-app/v2/bio-sessions/{session}/replay-liveness");
    Probe::form("UploadReplay", line, &[("metadata", "x"), ("media", "y")])
}

/// The request that creates a session of web capture.
pub(crate) fn init_web_capture() -> Probe {
    let line = "POST /video-server/init-liveness-session".to_owned();
    Probe::json("InitLivenessSession", line, r#"{"livenessMode":"LIVENESS_PASSIVE_VIDEO"}"#)
}

/// The request that creates a session.
pub(crate) fn create_session() -> Probe {
    Probe::new("CreateBioSession", "POST /bioserver-app/v2/bio-sessions".into())
}

/// The request for a picture's liveness.
pub(crate) fn face_liveness() -> Probe {
    let line = "POST /api/v1/face/liveness".to_owned();
    let probe = Probe::json("FaceLiveness", line, r#"{"faceImageBase":"AAAA"}"#);
    Probe { credential: Credential::Basic, ..probe }
}

/// The request for the capabilities.
pub(crate) fn capabilities() -> Probe {
    Probe::new("GetCapabilities", "GET /bioserver-app/v2/capabilities".into())
}
