//! Sessions with real models: the document's example flow, restarts, and two gateways over Redis and S3.

use std::net::SocketAddr;

use faceline_shared::testkit::{PooledRabbitMq, Redis, S3};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

use crate::client::{bytes, models_dir};
use crate::process::{Process, ServerRun};

const DOCUMENT: &str = include_str!("../../../../gateway/api/biometric-services.md");

/// A value that no store may contain as plain text.
const SECRET: &str = "correlation-in-the-clear";

/// Jobs that a worker has answered.
const DONE: &str = "faceline_worker_answered_total{outcome=\"done\"}";

/// Runs the shell lines of the document against a service and returns the lines that they print.
async fn documented_flow(url: &str) -> Vec<Value> {
    let (_, lines) = DOCUMENT.split_once("<!-- flow: begin -->\n```sh\n").unwrap();
    let (lines, _) = lines.split_once("```\n<!-- flow: end -->").unwrap();
    let lines = lines
        .replace("http://127.0.0.1:8080", url)
        .replace("~/.cache/faceline/models", models_dir().to_str().unwrap());
    let output = Command::new("sh").args(["-c", &lines]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}"))).collect()
}

fn assert_flow(printed: &[Value]) {
    let [session, reference, faces, matches, picture, deleted] = printed else {
        panic!("{printed:#?}");
    };
    assert_eq!(session["correlationId"], "891a6728-1ac4-11e7-93ae-92361f002671");
    assert_eq!(reference["friendlyName"], "Presidential portrait");
    // SHA-256 of the file, computed by an independent program.
    assert_eq!(reference["digest"], sha256sum("obama.jpg"));
    assert!(reference["quality"].as_i64().unwrap() > 100, "{reference}");
    assert_eq!(faces.as_array().unwrap().len(), 3);
    assert_eq!(faces[0], *reference);
    let best = matches.as_array().unwrap();
    assert_eq!(best.len(), 2);
    assert_eq!(best[0]["candidate"]["friendlyName"], "obama2.jpg");
    assert!(best[0]["score"].as_f64().unwrap() > 3500.0, "{matches}");
    assert!(best[1]["score"].as_f64().unwrap() < 2500.0, "{matches}");
    assert_eq!(*picture, "the picture as it was sent");
    assert_eq!(*deleted, 204);
}

fn sha256sum(name: &str) -> String {
    let output = std::process::Command::new("sha256sum").arg(crate::client::picture(name)).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// A caller with a session.
struct Session {
    client: Client,
    path: String,
}

impl Session {
    async fn create(url: &str) -> Self {
        let client = Client::new();
        let body = format!(r#"{{"imageStorageEnabled":true,"ttlSeconds":600,"correlationId":"{SECRET}"}}"#);
        let request = client.post(format!("{url}/bioserver-app/v2/bio-sessions")).header("apikey", "demo");
        let created = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        let path = created.headers()["location"].to_str().unwrap().to_owned();
        Self { client, path }
    }

    async fn get(&self, url: &str, below: &str) -> (StatusCode, Vec<u8>) {
        let request = self.client.get(format!("{url}/bioserver-app{}{below}", self.path));
        let answer = request.header("apikey", "demo").send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    async fn get_json(&self, url: &str, below: &str) -> Value {
        let (status, body) = self.get(url, below).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// Adds the face in a picture. Returns its path relative to the session.
    async fn add(&self, url: &str, picture: &str) -> String {
        let part = reqwest::multipart::Part::bytes(bytes(picture));
        let form = reqwest::multipart::Form::new().part("image", part).text("imageType", "SELFIE");
        let request = self.client.post(format!("{url}/bioserver-app{}/faces", self.path));
        self.below(request.header("apikey", "demo").multipart(form)).await
    }

    /// Adds a face by its description.
    async fn add_json(&self, url: &str, face: &Value) -> String {
        let request = self.client.post(format!("{url}/bioserver-app{}/faces", self.path));
        self.below(request.header("apikey", "demo").json(face)).await
    }

    async fn below(&self, request: reqwest::RequestBuilder) -> String {
        let created = request.send().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED, "{}", created.text().await.unwrap());
        let location = created.headers()["location"].to_str().unwrap();
        location.strip_prefix(self.path.as_str()).unwrap().to_owned()
    }

    async fn delete(&self, url: &str) -> StatusCode {
        let request = self.client.delete(format!("{url}/bioserver-app{}", self.path));
        request.header("apikey", "demo").send().await.unwrap().status()
    }
}

async fn standalone(folder: &TempDir) -> Process {
    Process::start("faceline", &[("data_dir", folder.path().to_str().unwrap())]).await
}

#[tokio::test]
async fn the_flow_of_the_document_works_as_pasted() {
    let folder = TempDir::new().unwrap();
    let mut faceline = standalone(&folder).await;
    assert_flow(&documented_flow(&faceline.url().await).await);
    assert_eq!(files(&folder.path().join("objects")), 0, "the deleted session's pictures are gone");
}

#[tokio::test]
async fn a_session_survives_a_restart_and_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut faceline = standalone(&folder).await;
    let mut url = faceline.url().await;
    let session = Session::create(&url).await;
    let face = session.add(&url, "obama.jpg").await;
    let (described, listed, shown) =
        (session.get(&url, &face).await, session.get(&url, "/faces").await, session.get(&url, "").await);
    for kill in [false, true, true] {
        if kill {
            faceline.kill().await;
        } else {
            let (code, log) = faceline.terminate().await;
            assert_eq!(code, Some(0), "{log}");
        }
        faceline = standalone(&folder).await;
        url = faceline.url().await;
        assert_eq!(session.get(&url, "").await, shown);
        assert_eq!(session.get(&url, &face).await, described);
        assert_eq!(session.get(&url, "/faces").await, listed);
        assert_eq!(session.get(&url, &format!("{face}/image")).await, (StatusCode::OK, bytes("obama.jpg")));
    }
    // The session still works.
    session.add(&url, "obama2.jpg").await;
    let matches = session.get_json(&url, &format!("{face}/matches")).await;
    assert!(matches[0]["score"].as_f64().unwrap() > 3500.0, "{matches}");
    assert_eq!(session.delete(&url).await, StatusCode::NO_CONTENT);
    faceline.kill().await;
    faceline = standalone(&folder).await;
    assert_eq!(session.get(&faceline.url().await, "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn fifty_faces_are_matched_in_one_job() {
    let folder = TempDir::new().unwrap();
    let mut faceline = standalone(&folder).await;
    let url = faceline.url().await;
    let session = Session::create(&url).await;
    let reference = session.add(&url, "obama.jpg").await;
    let kept = session.get_json(&url, &reference).await;
    for _ in 1..50 {
        session.add_json(&url, &kept).await;
    }
    let jobs = faceline.metric(DONE).await;
    let matches = session.get_json(&url, &format!("{reference}/matches")).await;
    assert_eq!(matches.as_array().unwrap().len(), 49);
    // The two faces are of the same picture.
    assert!(matches.as_array().unwrap().iter().all(|entry| entry["score"].as_f64().unwrap() > 10_000.0));
    assert_eq!(faceline.metric(DONE).await - jobs, 1.0);
}

#[tokio::test]
async fn an_age_is_estimated_and_a_png_compressed_by_real_workers() {
    let folder = TempDir::new().unwrap();
    let mut faceline = standalone(&folder).await;
    let url = faceline.url().await;
    let age = async |picture: &str| -> Value {
        let part = reqwest::multipart::Part::bytes(bytes(picture));
        let form = reqwest::multipart::Form::new().part("image", part).text("age", r#"{"threshold":18}"#);
        let request = Client::new().post(format!("{url}/bioserver-app/v2/ages")).header("apikey", "demo");
        request.multipart(form).send().await.unwrap().json().await.unwrap()
    };
    // He was 47 in this picture.
    let president = age("obama.jpg").await;
    assert!((35.0..60.0).contains(&president["ageEstimated"].as_f64().unwrap()), "{president}");
    assert_eq!((&president["aboveThreshold"], &president["threshold"]), (&true.into(), &18.into()));
    let coffee = age("coffee.png").await;
    assert_eq!(coffee["quality"], -10_000, "{coffee}");
    assert!(coffee.get("ageEstimated").is_none() && coffee.get("aboveThreshold").is_none());

    let session = Session::create(&url).await;
    let face = session.add(&url, "astronaut.png").await;
    let (status, jpeg) = session.get(&url, &format!("{face}/image?compression=true")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(jpeg.starts_with(b"\xff\xd8\xff") && jpeg.len() < bytes("astronaut.png").len() / 2);
}

/// A round-robin balancer, which forwards each new connection to the next of these addresses.
pub(crate) async fn in_turn(addresses: Vec<SocketAddr>) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        for address in addresses.iter().cycle() {
            let (mut caller, _) = listener.accept().await.unwrap();
            let mut gateway = TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut caller, &mut gateway).await });
        }
    });
    (url, AbortOnDropHandle::new(serving))
}

#[tokio::test]
async fn two_gateways_and_two_workers_share_sessions_over_redis_and_s3() {
    let _run = ServerRun::begin().await;
    let (broker, redis, s3) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent(), S3::start());
    let folder = TempDir::new().unwrap();
    let (broker_url, redis_url, objects_url) = (broker.url(), redis.url(), s3.url());
    let objects = s3.settings();
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("broker.url", broker_url.as_str()),
        ("store.url", redis_url.as_str()),
        ("objects.url", objects_url.as_str()),
        ("objects.endpoint", objects.endpoint.as_deref().unwrap()),
        ("objects.access_key_id", objects.access_key_id.as_deref().unwrap()),
        ("objects.secret_access_key", objects.secret_access_key.as_deref().unwrap()),
        ("inference.sessions", "1"),
    ];
    let start = |program| Process::start(program, &settings);
    let (mut one, mut two) = tokio::join!(start("faceline-gateway"), start("faceline-gateway"));
    let _workers = tokio::join!(start("faceline-worker"), start("faceline-worker"));
    let (one_url, two_url) = (one.url().await, two.url().await);
    let addresses = [&one_url, &two_url].map(|url| url.trim_start_matches("http://").parse().unwrap());
    let (url, _balancer) = in_turn(addresses.to_vec()).await;

    assert_flow(&documented_flow(&url).await);
    assert_eq!(files(s3.data_dir()), 0, "the deleted session's pictures are gone");

    // The other gateway returns what the first one stored, to the byte.
    let session = Session::create(&one_url).await;
    let face = session.add(&two_url, "obama.jpg").await;
    assert_eq!(session.get(&one_url, &face).await, session.get(&two_url, &face).await);
    assert_eq!(session.get(&one_url, &format!("{face}/image")).await, (StatusCode::OK, bytes("obama.jpg")));
    assert!(files(s3.data_dir()) > 0);

    // Neither Redis nor S3 has the value as plain text.
    let picture = bytes("obama.jpg");
    let id = session.path.rsplit_once('/').unwrap().1;
    assert!(anywhere(redis.data_dir(), id.as_bytes()), "this is not where sessions are");
    for folder in [s3.data_dir(), &broker.data_dir(), redis.data_dir()] {
        assert!(!anywhere(folder, &picture[5000..5032]), "{}", folder.display());
        assert!(!anywhere(folder, SECRET.as_bytes()), "{}", folder.display());
    }

    assert_eq!(session.delete(&one_url).await, StatusCode::NO_CONTENT);
    assert_eq!(session.get(&two_url, &face).await.0, StatusCode::NOT_FOUND);
    assert_eq!(files(s3.data_dir()), 0);
    let keys = Command::new("redis-cli").args(["-u", &redis_url, "--scan"]).output().await.unwrap();
    let keys = String::from_utf8(keys.stdout).unwrap();
    assert!(!keys.contains(id), "{keys}");
}

/// Number of files below a folder, without the server's own files.
fn files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path) } else { usize::from(!is_hidden(&path)) }
    };
    entries.map(count).sum()
}

fn is_hidden(path: &std::path::Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with('.')
}

/// Whether a file below a folder contains these bytes.
fn anywhere(folder: &std::path::Path, needle: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return anywhere(&path, needle);
        }
        // A server may replace its files at any time.
        std::fs::read(&path).is_ok_and(|bytes| memchr::memmem::find(&bytes, needle).is_some())
    })
}
