//! The requests of each operation.

use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use faceline_shared::testkit::{demo_token, token};
use reqwest::multipart::{Form, Part};
use reqwest::{Client as Http, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::scenario::Client;
use crate::capture::CaptureClient;

/// Lifetime of BWS tokens: longer than any load lasts.
const TOKEN_SECONDS: i64 = 24 * 3600;
/// Lifetime of sessions: they outlive a load, so the oracle can check them afterwards.
const SESSION_SECONDS: u64 = 3600;

/// A caller: its credentials, and connections of its own.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    http: Http,
    client: Client,
    token: String,
}

impl Caller {
    /// A caller who waits for an answer for at most `timeout`.
    pub(super) fn new(client: &Client, timeout: Duration) -> anyhow::Result<Self> {
        let token = match &client.bws {
            Some(key) => token(&key.client_id, &key.key, TOKEN_SECONDS),
            None => demo_token(TOKEN_SECONDS),
        };
        Ok(Self { http: Http::builder().timeout(timeout).build()?, client: client.clone(), token })
    }

    /// The API key of Biometric Services.
    pub(super) fn api_key(&self) -> &str {
        &self.client.api_key
    }

    pub(super) fn faces(&self, url: &str, picture: &Bytes, name: &str) -> RequestBuilder {
        let form = Form::new().text("imageType", "SELFIE").text("friendlyName", name.to_owned());
        self.biometric(url, "/v2/faces").multipart(form.part("image", jpeg(picture)))
    }

    pub(super) fn match_images(
        &self,
        url: &str,
        [reference, candidate]: [&Bytes; 2],
        correlation_id: &str,
    ) -> RequestBuilder {
        let form = Form::new()
            .text("referenceImageType", "SELFIE")
            .text("candidateImageType", "SELFIE")
            .text("correlationId", correlation_id.to_owned())
            .part("referenceImage", jpeg(reference))
            .part("candidateImage", jpeg(candidate));
        self.biometric(url, "/v2/match/images").multipart(form)
    }

    pub(super) fn match_face(
        &self,
        url: &str,
        reference: &Value,
        candidate: &Bytes,
        correlation_id: &str,
    ) -> RequestBuilder {
        let form = Form::new()
            .text("referenceFace", reference.to_string())
            .text("candidateImageType", "SELFIE")
            .text("correlationId", correlation_id.to_owned())
            .part("candidateImage", jpeg(candidate));
        self.biometric(url, "/v2/match").multipart(form)
    }

    pub(super) fn liveness_detection(&self, url: &str, picture: &Bytes) -> RequestBuilder {
        let body = json!({"liveImages": [{"image": STANDARD.encode_to_string(picture)}]});
        self.http.post(format!("{url}/api/v1/livenessdetection")).bearer_auth(&self.token).json(&body)
    }

    pub(super) fn photo_verify(&self, url: &str, [live, photo]: [&Bytes; 2]) -> RequestBuilder {
        let [live, photo] = [live, photo].map(|picture| STANDARD.encode_to_string(picture));
        let body = json!({"liveImages": [{"image": live}], "photo": photo, "disableLivenessDetection": true});
        self.http.post(format!("{url}/api/v1/photoverify")).bearer_auth(&self.token).json(&body)
    }

    pub(super) fn face_liveness(&self, url: &str, picture: &Bytes, session_id: &str) -> RequestBuilder {
        let body = json!({"faceImageBase": STANDARD.encode_to_string(picture), "sessionId": session_id});
        let Client { user, password, .. } = &self.client;
        self.http.post(format!("{url}/api/v1/face/liveness")).basic_auth(user, Some(password)).json(&body)
    }

    pub(super) fn matches(&self, url: &str, face: &str) -> RequestBuilder {
        let url = format!("{url}/bioserver-app{face}/matches");
        self.http.get(url).header("apikey", &self.client.api_key)
    }

    pub(super) fn create_session(
        &self,
        url: &str,
        correlation_id: &str,
        callback_url: Option<&str>,
    ) -> RequestBuilder {
        let mut body = json!({"correlationId": correlation_id, "ttlSeconds": SESSION_SECONDS});
        if let Some(url) = callback_url {
            body["callbackURL"] = json!(url);
        }
        self.biometric(url, "/v2/bio-sessions").json(&body)
    }

    /// Adds the face in a picture to the session with this path.
    pub(super) fn create_session_face(
        &self,
        url: &str,
        session: &str,
        picture: &Bytes,
        name: &str,
    ) -> RequestBuilder {
        let form = Form::new()
            .text("imageType", "SELFIE")
            .text("friendlyName", name.to_owned())
            .part("image", jpeg(picture));
        self.biometric(url, &format!("{session}/faces")).multipart(form)
    }

    /// Sets the parameters of a session's replay.
    pub(super) fn replay_parameters(&self, url: &str, session: Uuid, parameters: &Value) -> RequestBuilder {
        let client = CaptureClient::with_connections(self.http.clone(), url, self.api_key());
        client.set_parameters_request(session, parameters)
    }

    fn biometric(&self, url: &str, path: &str) -> RequestBuilder {
        self.http.post(format!("{url}/bioserver-app{path}")).header("apikey", &self.client.api_key)
    }
}

/// A part with a picture. Its bytes are not copied.
fn jpeg(picture: &Bytes) -> Part {
    let length = picture.len() as u64;
    let part = Part::stream_with_length(picture.clone(), length).file_name("face.jpg");
    part.mime_str("image/jpeg").expect("a media type")
}
