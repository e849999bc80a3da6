//! The sealing keys of running processes, over RabbitMQ: a rotation under load, and gateways and workers with different
//! keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faceline_models::liveness::ScoreMap;
use faceline_models::manifest::{Manifest, Profile};
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::client::{Caller, bytes};
use crate::process::{Process, ServerRun};
use crate::programs::program;

const TIMEOUT: Duration = Duration::from_secs(60);
const TAKEN: &str = "faceline_sealing_keys_reloads_total{outcome=\"taken\"}";
const CURRENT: &str = "faceline_sealing_keys_current";
const DIFFERENT_KEYS: &str = "gateways and workers have different sealing keys";

struct Site {
    broker: PooledRabbitMq,
    redis: Redis,
    folder: TempDir,
    _run: ServerRun,
}

impl Site {
    async fn new() -> Self {
        let run = ServerRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
        Self { broker, redis, folder: TempDir::new().unwrap(), _run: run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Spawns a program with this data folder.
    fn spawn(&self, program: &str, data: &str, settings: &[(&str, &str)]) -> Process {
        let (broker, redis, data) = (self.broker.url(), self.redis.url(), self.path(data));
        let own = [
            ("data_dir", data.to_str().unwrap()),
            ("broker.url", &broker),
            ("store.url", &redis),
            ("inference.sessions", "1"),
        ];
        Process::spawn(program, &[&own, settings].concat())
    }
}

/// Executes `faceline-gateway sealing …`. Returns the words of each line.
async fn sealing(file: &str, arguments: &[&str]) -> Vec<Vec<String>> {
    let output = Command::new(program("faceline-gateway"))
        .arg("sealing")
        .args(arguments)
        .args(["--set", &format!("keys.file={file}")])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

async fn readyz(process: &mut Process) -> (u16, String) {
    let response = reqwest::get(format!("http://{}/readyz", process.admin().await)).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Asserts that a worker shows its liveness calibration to operators, and that the metric has the same thresholds.
async fn assert_shows_the_liveness_calibration(worker: &mut Process, detail: &str) {
    let manifest = Manifest::default_manifest().unwrap();
    let shipped = manifest.liveness_calibration(Profile::Default).unwrap();
    let ScoreMap { low, medium, high, .. } = shipped.still;
    let line = format!(
        "liveness_calibration: {}, profile Default, thresholds {low}, {medium}, {high} (LLR)",
        shipped.name
    );
    assert!(detail.lines().any(|shown| shown == line), "{line}: {detail}");
    for (level, llr) in [("LOW", low), ("MEDIUM", medium), ("HIGH", high)] {
        let name = format!(
            "faceline_worker_liveness_threshold_llr{{calibration=\"{}\",level=\"{level}\",profile=\"default\"}}",
            shipped.name
        );
        assert_eq!(worker.metric(&name).await, f64::from(llr), "{level}");
    }
}

/// Waits until `/readyz` has this status and mentions `word`.
async fn readyz_is(process: &mut Process, status: u16, word: &str) {
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    let wait = async {
        loop {
            poll.tick().await;
            let (now, text) = readyz(process).await;
            if now == status && text.contains(word) {
                return;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("never {status} {word}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_in_two_phases_under_load_without_a_failed_request() {
    let site = Site::new().await;
    // A gateway without a key file makes one.
    let mut first = site.spawn("faceline-gateway", "first", &[]);
    first.url().await;
    first.kill().await;
    let file = site.path("keys.toml");
    std::fs::rename(site.path("first").join("keys.toml"), &file).unwrap();
    let file = file.to_str().unwrap();
    let settings = [("keys.file", file)];
    let mut gateway = site.spawn("faceline-gateway", "gateway", &settings);
    let mut worker = site.spawn("faceline-worker", "worker", &settings);
    gateway.logged("ready").await;
    worker.logged("ready").await;

    let caller = Caller::new(&gateway.url().await);
    let (status, old_face) = caller.face(bytes("obama.jpg")).await;
    assert_eq!(status, StatusCode::OK);
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (caller, stop) = (caller.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let (status, body) = caller.face(bytes("obama2.jpg")).await;
                    assert_eq!(status, StatusCode::OK, "{body}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();

    let mut changes = 0.0;
    let both_take = async |gateway: &mut Process, worker: &mut Process, changes: f64| {
        gateway.metric_reaches(TAKEN, changes).await;
        worker.metric_reaches(TAKEN, changes).await;
    };
    let added = sealing(file, &["add"]).await;
    assert_eq!(added.len(), 4);
    changes += 1.0;
    both_take(&mut gateway, &mut worker, changes).await;
    let with = |status: &str| -> Vec<String> {
        added.iter().filter(|line| line[0] == status).map(|line| line[2].clone()).collect()
    };
    for id in with("opens") {
        let mut done = gateway.metric("faceline_gateway_published_total{outcome=\"accepted\"}").await;
        sealing(file, &["activate", &id]).await;
        changes += 1.0;
        both_take(&mut gateway, &mut worker, changes).await;
        // Some requests under the new key.
        done += 8.0;
        gateway.metric_reaches("faceline_gateway_published_total{outcome=\"accepted\"}", done).await;
    }
    // An invalid file changes nothing.
    let usable = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, "data = 7").unwrap();
    gateway.metric_is(CURRENT, |value| value == 0.0).await;
    worker.metric_is(CURRENT, |value| value == 0.0).await;
    std::fs::write(file, usable).unwrap();
    gateway.metric_is(CURRENT, |value| value == 1.0).await;
    worker.metric_is(CURRENT, |value| value == 1.0).await;

    stop.store(true, Ordering::Relaxed);
    for load in load {
        assert!(load.await.unwrap() > 0);
    }
    assert!(caller.score_of_face(&old_face, "obama3.jpg").await > 3500.0, "a template of the old key");
    assert_eq!(readyz(&mut gateway).await.0, 200);
    let (status, detail) = readyz(&mut worker).await;
    assert_eq!(status, 200);
    assert_shows_the_liveness_calibration(&mut worker, &detail).await;
    assert_eq!(gateway.metric("faceline_gateway_unopened_total").await, 0.0);
    assert_eq!(worker.metric("faceline_worker_unopened_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn different_keys_are_one_clear_error_at_both_ends_until_they_are_the_same() {
    let site = Site::new().await;
    let mut gateway = site.spawn("faceline-gateway", "gateway", &[]);
    let mut worker = site.spawn("faceline-worker", "worker", &[]);
    let url = gateway.url().await;
    for (process, data) in [(&mut gateway, "gateway"), (&mut worker, "worker")] {
        let warning = process.logged_like("keys.file is not set").await;
        assert_eq!(warning["file"], site.path(data).join("keys.toml").to_str().unwrap(), "{warning}");
        let error = process.logged_like(DIFFERENT_KEYS).await;
        assert!(
            error["ours"].is_string() && error["theirs"].is_string() && error["ours"] != error["theirs"],
            "{error}"
        );
        readyz_is(process, 503, "keys").await;
    }
    let caller = Caller::new(&url);
    let asked = Instant::now();
    for _ in 0..3 {
        let (status, body) = caller.face(bytes("obama2.jpg")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        assert!(body["message"].as_str().unwrap().contains("not working properly"), "{body}");
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(gateway.metric("faceline_gateway_disagreeing_peers").await, 1.0);
    assert_eq!(worker.metric("faceline_worker_disagreeing_peers").await, 1.0);
    for process in [&gateway, &worker] {
        assert_eq!(process.count_logged(DIFFERENT_KEYS), 1, "once a minute, not for each request");
    }

    // The worker gets a copy of the gateway's keys. No program is restarted.
    std::fs::copy(site.path("gateway").join("keys.toml"), site.path("worker").join("keys.toml")).unwrap();
    readyz_is(&mut gateway, 200, "ok").await;
    readyz_is(&mut worker, 200, "ok").await;
    let (status, body) = caller.face(bytes("obama2.jpg")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}
