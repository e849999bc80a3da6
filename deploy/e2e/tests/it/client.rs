//! A caller of Biometric Services.

use std::path::PathBuf;

use faceline_models::Repository;
use faceline_shared::settings::Settings;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

/// A picture under a free licence, which `make models` installs.
pub(crate) fn picture(name: &str) -> PathBuf {
    let dir = models_dir();
    let repository = Repository::open(&dir).unwrap_or_else(|error| panic!("{error} (or `make models`)"));
    repository.picture(name).unwrap()
}

/// A tool that `make test` installs.
pub(crate) fn tool(name: &str) -> PathBuf {
    let tool = models_dir().with_file_name("tools").join(name);
    assert!(tool.is_dir(), "{} is missing; `make test` installs it", tool.display());
    tool
}

/// The folder of the installed models.
pub(crate) fn models_dir() -> PathBuf {
    Settings::default().models.dir
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(picture(name)).unwrap()
}

/// Calls a gateway with the demo key.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    url: String,
}

impl Caller {
    pub(crate) fn new(url: &str) -> Self {
        Self { client: Client::new(), url: format!("{url}/bioserver-app/v2") }
    }

    async fn post(&self, path: &str, form: Form) -> Response {
        let request =
            self.client.post(format!("{}{path}", self.url)).header("apikey", "demo").multipart(form);
        request.send().await.unwrap()
    }

    /// `POST /faces`
    pub(crate) async fn face(&self, picture: Vec<u8>) -> (StatusCode, Value) {
        let form = Form::new().part("image", Part::bytes(picture)).text("imageType", "SELFIE");
        answer(self.post("/faces", form).await).await
    }

    /// `POST /match/images`; the score.
    pub(crate) async fn score(&self, reference: &str, candidate: &str) -> f64 {
        let form = Form::new()
            .part("referenceImage", Part::bytes(bytes(reference)))
            .part("candidateImage", Part::bytes(bytes(candidate)))
            .text("referenceImageType", "SELFIE")
            .text("candidateImageType", "SELFIE");
        let (status, body) = answer(self.post("/match/images", form).await).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["score"].as_f64().unwrap()
    }

    /// `POST /match`; the score of a described face and a picture.
    pub(crate) async fn score_of_face(&self, face: &Value, candidate: &str) -> f64 {
        let (status, body) = self.match_face(face, candidate).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["score"].as_f64().unwrap()
    }

    /// `POST /match` with a described face and a picture.
    pub(crate) async fn match_face(&self, face: &Value, candidate: &str) -> (StatusCode, Value) {
        let form = Form::new()
            .text("referenceFace", face.to_string())
            .part("candidateImage", Part::bytes(bytes(candidate)))
            .text("candidateImageType", "\"SELFIE\"");
        answer(self.post("/match", form).await).await
    }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
