//! Programs in an orchestrator: their environment, and their shutdown while callers continue.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::bytes;
use crate::cluster::Site;
use crate::haproxy::HaProxy;
use crate::process::Process;
use crate::programs::program;

const TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Callers that send one request after the other until they are stopped.
struct Callers {
    answered: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    /// The failures that each caller saw: every answer but 200.
    running: JoinSet<Vec<String>>,
}

impl Callers {
    fn start(count: usize, url: &str, picture: Option<&[u8]>) -> Self {
        let (answered, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut running = JoinSet::new();
        for _ in 0..count {
            let (answered, is_over) = (Arc::clone(&answered), Arc::clone(&is_over));
            let (client, url, picture) = (Client::new(), url.to_owned(), picture.map(<[u8]>::to_vec));
            running.spawn(async move {
                let mut wrong = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let request = match &picture {
                        None => client.get(&url),
                        Some(picture) => {
                            let form = Form::new().part("image", Part::bytes(picture.clone()));
                            client
                                .post(&url)
                                .header("apikey", "demo")
                                .multipart(form.text("imageType", "SELFIE"))
                        }
                    };
                    match request.send().await {
                        Ok(answer) if answer.status() == StatusCode::OK => {
                            if let Err(error) = answer.bytes().await {
                                wrong.push(error.to_string());
                            }
                        }
                        Ok(answer) => wrong.push(format!("{} {:?}", answer.status(), answer.text().await)),
                        Err(error) => wrong.push(format!("{error:?}")),
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                wrong
            });
        }
        Self { answered, is_over, running }
    }

    /// Waits until `more` further requests are answered.
    async fn go_on(&self, more: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let reached = async {
            while self.answered.load(Ordering::Relaxed) < wanted {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(TIMEOUT, reached).await.expect("callers do not get on");
    }

    /// Stops the callers. Returns the number of their requests, and the failures.
    async fn stop(self) -> (usize, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let wrong = self.running.join_all().await.concat();
        (self.answered.load(Ordering::Relaxed), wrong)
    }
}

#[tokio::test]
async fn a_gateway_behind_a_balancer_ends_without_losing_a_request() {
    let site = Site::new().await;
    let settings = [("http.shutdown_delay", "10s")];
    let (mut leaving, mut staying, _worker) = tokio::join!(
        site.start("faceline-gateway", &settings),
        site.start("faceline-gateway", &settings),
        site.worker()
    );
    let [one, two] = [leaving.url().await, staying.url().await].map(|url| url.replace("http://", ""));
    // There are no retries, which would hide a request that a gateway lost. Connections to gateways are shared and
    // reused.
    let balancer = HaProxy::start(
        "    mode http\n    retries 0\n    http-reuse always",
        "",
        &format!(
            "    option httpchk GET /readyz\n    http-check expect status 200\n    default-server check inter 300ms fall 2\n    \
             server one {one}\n    server two {two}"
        ),
    )
    .await;
    let url = format!("http://{}", balancer.address);
    let picture = bytes("obama2.jpg");
    let polling = Callers::start(8, &format!("{url}/livez"), None);
    let faces = Callers::start(2, &format!("{url}/bioserver-app/v2/faces"), Some(&picture));
    polling.go_on(200).await;
    faces.go_on(6).await;
    let served = r#"faceline_http_requests_total{operation="create_face",status="200"}"#;
    leaving.metric_reaches(served, 1.0).await;

    let (code, log) = leaving.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    polling.go_on(200).await;
    faces.go_on(6).await;
    for (count, wrong) in [polling.stop().await, faces.stop().await] {
        assert!(wrong.is_empty(), "{} of {count} requests are lost: {wrong:?}", wrong.len());
    }
}

#[tokio::test]
async fn readiness_falls_first_and_a_second_signal_ends_at_once() {
    let folder = TempDir::new().unwrap();
    let settings = [("data_dir", folder.path().to_str().unwrap()), ("http.shutdown_delay", "10m")];
    let mut faceline = Process::start("faceline", &settings).await;
    let (url, admin) = (faceline.url().await, faceline.admin().await);
    let status = async |url: String| reqwest::get(url).await.unwrap().status();
    assert_eq!(status(format!("{url}/readyz")).await, StatusCode::OK);
    faceline.signal_termination().await;
    for ready in [format!("{url}/readyz"), format!("http://{admin}/readyz")] {
        let fallen = async {
            while status(ready.clone()).await != StatusCode::SERVICE_UNAVAILABLE {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(TIMEOUT, fallen).await.expect("it stays ready");
    }
    // New connections are served, and the worker still processes jobs.
    assert_eq!(status(format!("{url}/livez")).await, StatusCode::OK);
    let face = crate::client::Caller::new(&url).face(bytes("obama2.jpg")).await;
    assert_eq!(face.0, StatusCode::OK, "{}", face.1);
    let started = Instant::now();
    let (code, log) = faceline.terminate().await;
    assert_eq!(code, Some(130), "{log}");
    assert!(started.elapsed() < TIMEOUT / 2);
}

#[tokio::test]
async fn services_with_the_programs_name_are_no_settings() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program("faceline-gateway"));
    for service in ["FACELINE", "FACELINE_GATEWAY"] {
        for (name, value) in [
            ("SERVICE_HOST", "10.96.0.7"),
            ("SERVICE_PORT", "8080"),
            ("SERVICE_PORT_HTTP", "8080"),
            ("PORT", "tcp://10.96.0.7:8080"),
            ("PORT_8080_TCP", "tcp://10.96.0.7:8080"),
            ("PORT_8080_TCP_PROTO", "tcp"),
            ("PORT_8080_TCP_PORT", "8080"),
            ("PORT_8080_TCP_ADDR", "10.96.0.7"),
        ] {
            command.env(format!("{service}_{name}"), value);
        }
    }
    command.env("FACELINE_LOG_FILTER", "debug");
    let settings = [("data_dir", folder.path().to_str().unwrap())];
    let mut gateway = Process::spawn_with(command, "faceline-gateway", &settings);
    let ignored = "the environment variable FACELINE_LOG_FILTER is ignored: settings are FACELINE_SECTION__KEY; \
                   FACELINE_LOG__FILTER?";
    gateway.logged(ignored).await;
    gateway.logged("ready").await;
    let (code, log) = gateway.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("is ignored").count(), 1, "{log}");

    let mut misspelt = Command::new(program("faceline-gateway"));
    misspelt.env("FACELINE_HTTP__LISTNE", "127.0.0.1:0");
    let (code, log) = Process::spawn_with(misspelt, "faceline-gateway", &settings).ended().await;
    assert_eq!(code, Some(64), "{log}");
    assert!(log.contains("listne"), "{log}");
}

#[tokio::test]
async fn a_secret_of_digits_is_in_no_message() {
    const SECRET: &str = "00420042004200420042";
    let folder = TempDir::new().unwrap();
    let data = ("data_dir", folder.path().to_str().unwrap());
    for (more, code) in [
        // One half of a pair is missing, so there is a message about the secret.
        (&[("objects.secret_access_key", SECRET), ("objects.url", "s3://bucket")][..], 64),
        (&[("objects.secret_access_key", SECRET), ("http.listen", "nowhere"), ("objects.url", "s3://b")], 64),
        (&[("broker.url", SECRET)], 64),
        (&[("store.url", SECRET)], 64),
    ] {
        let (ended, log) = Process::spawn("faceline-gateway", &[&[data], more].concat()).ended().await;
        assert_eq!(ended, Some(code), "{log}");
        assert!(!log.is_empty() && !log.contains("4200"), "{log}");
    }
}

#[tokio::test]
async fn without_a_home_the_data_folder_is_asked_for() {
    let folder = TempDir::new().unwrap();
    let homeless = |name: &str| {
        let mut command = Command::new(program(name));
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command
    };
    for name in ["faceline", "faceline-gateway", "faceline-worker"] {
        let (code, log) = Process::spawn_with(homeless(name), name, &[]).ended().await;
        assert_eq!(code, Some(64), "{name}: {log}");
        assert!(log.contains("data_dir"), "{name}: {log}");
    }
    let settings = [("data_dir", folder.path().to_str().unwrap())];
    let mut gateway = Process::spawn_with(homeless("faceline-gateway"), "faceline-gateway", &settings);
    gateway.logged("ready").await;
    assert!(folder.path().join("keys.toml").is_file());
    // The worker searches for models in the data folder, not in a temporary one.
    let (code, log) =
        Process::spawn_with(homeless("faceline-worker"), "faceline-worker", &settings).ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(folder.path().join("models").to_str().unwrap()), "{log}");
}

/// With a Secret that Kubernetes mounts with `fsGroup`, the group may read the file.
#[tokio::test]
async fn secrets_that_the_own_group_may_read_are_taken() {
    let folder = TempDir::new().unwrap();
    let settings = [("data_dir", folder.path().to_str().unwrap())];
    let start = async |mode: u32| {
        let file = folder.path().join("keys.toml");
        set_mode(&file, mode);
        let mut gateway = Process::spawn("faceline-gateway", &settings);
        if mode & 0o007 == 0 {
            gateway.logged("ready").await;
            gateway.terminate().await
        } else {
            gateway.ended().await
        }
    };
    Process::start("faceline-gateway", &settings).await.terminate().await;
    for mode in [0o440, 0o640, 0o400] {
        let (code, log) = start(mode).await;
        assert_eq!(code, Some(0), "{mode:o}: {log}");
    }
    let (code, log) = start(0o644).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("keys.toml can be read or changed by others"), "{log}");
}

fn set_mode(file: &Path, mode: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(file, permissions).unwrap();
}
