//! BWS with clients in other languages: gRPC from Python with stubs generated from the protos, and the REST forms.

use std::path::PathBuf;
use std::process::Stdio;

use base64_simd::STANDARD;
use faceline_shared::testkit::{demo_token, token};
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::client::{picture, tool};
use crate::process::Process;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/bws/client.py");
const PROTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway/proto");

/// Makes the calls one after the other, and returns their answers.
pub(crate) async fn call(url: &str, calls: &[Value]) -> Vec<Value> {
    let mut python = Command::new("python3")
        .env("PYTHONPATH", tool("grpc"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args([CLIENT, PROTOS, url.strip_prefix("http://").unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut calls_in = python.stdin.take().unwrap();
    calls_in.write_all(&serde_json::to_vec(calls).unwrap()).await.unwrap();
    drop(calls_in);
    let output = python.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The pictures that clients send: portraits under free licences, and pictures made from them.
struct Pictures(TempDir);

impl Pictures {
    fn make() -> Self {
        let pictures = Self(TempDir::new().unwrap());
        let [obama, biden] = ["obama.jpg", "biden.jpg"].map(|name| image::open(picture(name)).unwrap());
        let size = (600, 800);
        let small = |of: &DynamicImage| of.resize_exact(size.0, size.1, FilterType::Triangle).to_rgb8();
        let (obama, biden) = (small(&obama), small(&biden));
        let mut two = RgbImage::new(2 * size.0, size.1);
        imageops::replace(&mut two, &obama, 0, 0);
        imageops::replace(&mut two, &biden, size.0.into(), 0);
        pictures.save("two.png", &two);
        pictures.save("turned.png", &imageops::rotate90(&obama));
        pictures
    }

    fn save(&self, name: &str, picture: &RgbImage) {
        picture.save(self.0.path().join(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        let made = self.0.path().join(name);
        if made.is_file() { made } else { picture(name) }
    }

    /// A call by gRPC.
    fn call(&self, method: &str, images: &[&str]) -> Value {
        let images: Vec<_> = images.iter().map(|name| json!({ "file": self.path(name) })).collect();
        json!({ "method": method, "images": images, "token": demo_token(600) })
    }
}

/// The codes of an answer's errors.
fn errors(answer: &Value) -> Vec<&str> {
    let errors = answer["message"]["errors"].as_array().unwrap();
    errors.iter().map(|error| error["errorCode"].as_str().unwrap()).collect()
}

fn with(mut call: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        call[key] = value.clone();
    }
    call
}

/// The same value with all numbers as fractions: 0 and 0.0 are the same number in JSON, but different in serde.
fn fractions(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.into_iter().map(fractions).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, fractions(value))).collect(),
        other => other,
    }
}

#[tokio::test]
async fn a_client_in_python_is_answered_as_the_text_says() {
    let folder = TempDir::new().unwrap();
    let mut faceline = Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await;
    let pictures = Pictures::make();
    let one = pictures.call("LivenessDetection", &["obama.jpg"]);
    let verify = |live: &str, photo: &str| {
        with(pictures.call("PhotoVerify", &[live]), &json!({ "photo": pictures.path(photo) }))
    };
    let disabled = json!({ "disableLivenessDetection": true });
    let calls = [
        json!({ "method": "services" }),
        json!({ "method": "health", "service": "" }),
        json!({ "method": "health", "service": "liveness" }),
        json!({ "method": "health", "service": "readiness" }),
        with(one.clone(), &json!({ "metadata": [["reference-number", "order 66"]] })),
        with(one.clone(), &json!({ "gzip": true })),
        pictures.call("LivenessDetection", &["coffee.png"]),
        pictures.call("LivenessDetection", &["two.png"]),
        pictures.call("LivenessDetection", &["turned.png"]),
        pictures.call("LivenessDetection", &["obama.jpg", "obama.jpg"]),
        verify("obama.jpg", "obama2.jpg"),
        with(verify("obama.jpg", "obama2.jpg"), &disabled),
        with(verify("obama.jpg", "biden.jpg"), &disabled),
        with(verify("obama.jpg", "coffee.png"), &disabled),
        pictures.call("LivenessDetection", &[]),
        pictures.call("LivenessDetection", &["obama.jpg"; 3]),
        with(one.clone(), &json!({ "images": [{ "file": CLIENT }] })),
        pictures.call("VideoLivenessDetection", &[]),
        with(one.clone(), &json!({ "token": demo_token(-600) })),
        with(one.clone(), &json!({ "token": token("demo", "d3Jvbmc=", 600) })),
        with(one, &json!({ "timeout": 0.001 })),
    ];
    let answers = call(&faceline.url().await, &calls).await;
    let mut answers = answers.iter();
    let mut next = || answers.next().unwrap();

    let services = next().as_array().unwrap();
    for service in ["bioid.services.v1.BioIDWebService", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|name| name == service), "{services:?}");
    }
    // SERVING.
    assert_eq!([next(), next(), next()].map(Value::as_u64), [Some(1); 3]);

    let live = next();
    assert_eq!(live["code"], "OK", "{live}");
    assert_eq!(live["message"]["live"], true, "{live}");
    assert_eq!(errors(live), [""; 0], "{live}");
    assert!(live["message"]["livenessScore"].as_f64().unwrap() > 0.5, "{live}");
    let face = &live["message"]["imageProperties"][0]["faces"][0];
    assert!(face["rightEye"]["x"].as_f64().unwrap() < face["leftEye"]["x"].as_f64().unwrap(), "{live}");
    let trailers = &live["trailers"];
    assert!(trailers["jobid"].as_str().unwrap().parse::<uuid::Uuid>().is_ok(), "{live}");
    assert!(trailers["response-time-ms"].as_str().unwrap().parse::<u64>().is_ok(), "{live}");
    assert!(trailers["bws-version"].is_string(), "{live}");
    assert_eq!(trailers["reference-number"], "order 66", "{live}");
    assert_eq!(next()["message"]["livenessScore"], live["message"]["livenessScore"]);

    for expected in ["FaceNotFound", "MultipleFacesFound"] {
        let answer = next();
        assert_eq!((&answer["code"], &answer["message"]["live"]), (&json!("OK"), &json!(false)), "{answer}");
        assert_eq!(errors(answer), [expected], "{answer}");
    }
    let turned = next();
    assert_eq!(turned["message"]["imageProperties"][0]["rotated"], 270, "{turned}");
    let still = next();
    assert_eq!(errors(still), ["RejectedByActiveLiveDetection"], "{still}");

    let level = |answer: &Value| answer["message"]["verificationLevel"].as_str().unwrap().to_owned();
    let verified = next();
    assert_eq!(verified["message"]["live"], true, "{verified}");
    assert!(["LEVEL_4", "LEVEL_5"].contains(&level(verified).as_str()), "{verified}");
    let unchecked = next();
    assert_eq!(level(unchecked), level(verified), "{unchecked}");
    assert_eq!(unchecked["message"]["live"], false, "{unchecked}");
    assert_eq!(errors(unchecked), [""; 0], "{unchecked}");
    let other = next();
    assert_eq!((level(other).as_str(), errors(other)), ("NOT_RECOGNIZED", Vec::new()), "{other}");
    let without_face = next();
    assert_eq!(
        (level(without_face).as_str(), errors(without_face)),
        ("NOT_RECOGNIZED", vec!["FaceNotFound"]),
        "{without_face}"
    );

    for expected in [
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "UNAUTHENTICATED",
        "UNAUTHENTICATED",
        "DEADLINE_EXCEEDED",
    ] {
        let answer = next();
        assert_eq!(answer["code"], expected, "{answer}");
        assert_ne!(answer["details"], "", "{answer}");
    }
}

#[tokio::test]
async fn the_rest_twins_say_the_same() {
    let folder = TempDir::new().unwrap();
    let mut faceline = Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await;
    let url = faceline.url().await;
    let file = |name: &str| STANDARD.encode_to_string(std::fs::read(picture(name)).unwrap());
    let [obama, obama2] = ["obama.jpg", "obama2.jpg"].map(file);
    let pictures = Pictures::make();
    let calls = [
        pictures.call("LivenessDetection", &["obama.jpg"]),
        with(pictures.call("PhotoVerify", &["obama.jpg"]), &json!({ "photo": pictures.path("obama2.jpg") })),
    ];
    let by_grpc = call(&url, &calls).await;
    let bodies = [
        ("livenessdetection", json!({ "liveImages": [{ "image": obama }] })),
        ("photoverify", json!({ "liveImages": [{ "image": obama, "tags": [] }], "photo": obama2 })),
    ];
    for ((operation, body), by_grpc) in bodies.iter().zip(by_grpc) {
        let request = Client::new()
            .post(format!("{url}/api/v1/{operation}"))
            .bearer_auth(demo_token(600))
            .header("reference-number", "")
            .json(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().contains_key("jobid") && answer.headers().contains_key("bws-version"));
        assert_eq!(answer.headers()["reference-number"], "");
        let answer: Value = answer.json().await.unwrap();
        // Both write every field, so equal answers have equal members.
        assert_eq!(fractions(answer), fractions(by_grpc["message"].clone()));
    }
}
