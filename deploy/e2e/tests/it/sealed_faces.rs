//! Faces that callers keep and send back, with a real worker: the box, the sealed facts of the template, and claims
//! about them.

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{bytes, picture};
use crate::process::Process;

/// Fields of a face that the service computes.
const COMPUTED: [&str; 4] = ["digest", "imageType", "quality", "landmarks"];

struct Caller {
    client: Client,
    url: String,
}

impl Caller {
    async fn form(&self, path: &str, form: Form) -> Value {
        let request = self.client.post(format!("{}{path}", self.url)).header("apikey", "demo");
        json_of(request.multipart(form).send().await.unwrap(), StatusCode::OK).await
    }

    async fn json(&self, path: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).header("apikey", "demo");
        request.json(body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url)).header("apikey", "demo");
        json_of(request.send().await.unwrap(), StatusCode::OK).await
    }

    /// Compares a stored face with a picture.
    async fn compared(&self, face: &Value, candidate: &str) -> Value {
        let form = Form::new().text("referenceFace", face.to_string());
        let form = form.part("candidateImage", Part::bytes(bytes(candidate)));
        self.form("/v2/match", form.text("candidateImageType", "SELFIE")).await
    }
}

async fn json_of(answer: Response, expected: StatusCode) -> Value {
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, expected, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Asserts that a face's box has whole numbers, is inside the picture and contains the eyes.
fn assert_box(face: &Value, name: &str) {
    let (width, height) = image::image_dimensions(picture(name)).unwrap();
    let side =
        |member: &str| face["landmarks"]["box"][member].as_u64().unwrap_or_else(|| panic!("{name}: {face}"));
    let [x, y, wide, high] = ["x", "y", "width", "height"].map(side);
    assert!(x + wide <= width.into() && y + high <= height.into() && wide > 0 && high > 0, "{name}: {face}");
    let [left, right, top, bottom] = [x, x + wide, y, y + high].map(|side| side as f64);
    for (eye_x, eye_y) in [("x1", "y1"), ("x2", "y2")] {
        let [eye_x, eye_y] = [eye_x, eye_y].map(|at| face["landmarks"]["eyes"][at].as_f64().unwrap());
        assert!((left..right).contains(&eye_x) && (top..bottom).contains(&eye_y), "{name}: {face}");
    }
}

#[tokio::test]
async fn a_kept_face_comes_back_as_it_was_and_not_as_it_is_claimed() {
    let folder = TempDir::new().unwrap();
    let mut faceline = Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await;
    let url = format!("{}/bioserver-app", faceline.url().await);
    let caller = Caller { client: Client::new(), url };
    let created = caller.json("/v2/bio-sessions", &json!({})).await;
    let session = created.headers()["location"].to_str().unwrap().to_owned();
    let faces = format!("{session}/faces");

    let mut last = None;
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let form = Form::new().part("image", Part::bytes(bytes(name))).text("imageType", "SELFIE");
        let face = caller.form("/v2/faces", form).await;
        assert_box(&face, name);

        let compared = caller.compared(&face, name).await;
        assert!(compared["score"].as_f64().unwrap() > 10_000.0, "{compared}");
        // The candidate is the same picture.
        assert_eq!(compared["candidate"]["landmarks"], face["landmarks"]);
        let created = caller.json(&faces, &json!({"template": face["template"]})).await;
        assert_eq!(created.status(), StatusCode::CREATED);
        let described = caller.get(created.headers()["location"].to_str().unwrap()).await;
        for member in COMPUTED {
            assert!(!face[member].is_null(), "{member} of {face}");
            assert_eq!(compared["reference"][member], face[member], "{member}");
            assert_eq!(described[member], face[member], "{member}");
        }
        last = Some((face, described));
    }
    let (face, described) = last.unwrap();
    let matches = caller.get(&format!("{faces}/{}/matches", described["id"].as_str().unwrap())).await;
    assert_eq!(matches.as_array().unwrap().len(), 2);
    for entry in matches.as_array().unwrap() {
        assert_eq!(entry["reference"]["landmarks"], face["landmarks"]);
        assert!(entry["candidate"]["landmarks"]["box"]["width"].is_u64(), "{entry}");
    }

    for (member, claim) in
        [("digest", json!("0".repeat(64))), ("quality", json!(299)), ("imageType", json!("VIDEO_FRAME"))]
    {
        let mut claiming = face.clone();
        claiming[member] = claim;
        let refused = json_of(caller.json(&faces, &claiming).await, StatusCode::BAD_REQUEST).await;
        let message = refused["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("`face`: `{member}` contradicts the template")), "{message}");
    }
}
