//! Gateways and workers as processes over RabbitMQ and Redis, including kills and network failures of any of them.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use faceline_shared::testkit::{CutProxy, PooledRabbitMq, RabbitMq, Redis};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::client::{Caller, bytes};
use crate::process::{Process, ServerRun};

/// Broker and blob store of one test, and the data folder that its processes share.
pub(crate) struct Site {
    broker: PooledRabbitMq,
    redis: Redis,
    folder: TempDir,
    _run: ServerRun,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let run = ServerRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start_persistent());
        Self { broker, redis, folder: TempDir::new().unwrap(), _run: run }
    }

    pub(crate) async fn start(&self, program: &str, settings: &[(&str, &str)]) -> Process {
        let (broker, redis) = (self.broker.url(), self.redis.url());
        let folder = self.folder.path().to_str().unwrap();
        let own = [("data_dir", folder), ("broker.url", &broker), ("store.url", &redis)];
        Process::start(program, &[&own, settings].concat()).await
    }

    async fn gateway(&self) -> Process {
        self.start("faceline-gateway", &[]).await
    }

    pub(crate) async fn worker(&self) -> Process {
        self.start("faceline-worker", &[("inference.sessions", "1")]).await
    }
}

/// Sends requests from several callers, and returns all answers.
fn load(caller: &Caller, callers: usize, rounds: usize) -> JoinHandle<Vec<(StatusCode, Value)>> {
    let caller = caller.clone();
    let picture = bytes("obama2.jpg");
    tokio::spawn(async move {
        let one = async |caller: Caller| {
            let mut answers = Vec::new();
            for _ in 0..rounds {
                answers.push(caller.face(picture.clone()).await);
            }
            answers
        };
        join_all((0..callers).map(|_| one(caller.clone()))).await.concat()
    })
}

fn assert_all_answered(answers: &[(StatusCode, Value)], count: usize) {
    assert_eq!(answers.len(), count);
    for (status, body) in answers {
        assert_eq!(*status, StatusCode::OK, "{body}");
        assert!(body["template"].is_string(), "{body}");
    }
}

/// Jobs in flight when a process is killed. A worker cannot finish as many while the broker accepts them.
const JOBS: usize = 40;
/// Jobs that a worker has answered.
const DONE: &str = "faceline_worker_answered_total{outcome=\"done\"}";
/// Jobs that the broker has accepted from a gateway.
const ACCEPTED: &str = "faceline_gateway_published_total{outcome=\"accepted\"}";
/// Jobs that a gateway has sent again after an outage.
const REPUBLISHED: &str = "faceline_gateway_republished_total";

#[tokio::test]
async fn two_workers_share_the_queue_and_score_like_the_standalone() {
    let site = Site::new().await;
    let mut gateway = site.gateway().await;
    let (mut one, mut two) = tokio::join!(site.worker(), site.worker());
    let caller = Caller::new(&gateway.url().await);

    assert!(caller.score("obama.jpg", "obama2.jpg").await > 3500.0);
    assert!(caller.score("obama.jpg", "biden.jpg").await < 2500.0);
    let (status, face) = caller.face(bytes("obama.jpg")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(caller.score_of_face(&face, "obama3.jpg").await > 3500.0);

    assert_all_answered(&load(&caller, 8, 5).await.unwrap(), 40);
    for worker in [&mut one, &mut two] {
        assert!(worker.metric(DONE).await > 0.0, "one worker had all the work");
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_loses_no_job() {
    let site = Site::new().await;
    let mut gateway = site.gateway().await;
    let (mut victim, _other) = tokio::join!(site.worker(), site.worker());
    let caller = Caller::new(&gateway.url().await);
    let answers = load(&caller, 8, 6);
    victim.metric_reaches(DONE, 3.0).await;
    victim.kill().await;
    assert_all_answered(&answers.await.unwrap(), 48);
}

#[tokio::test]
async fn workers_come_and_go_under_load() {
    let site = Site::new().await;
    let mut gateway = site.gateway().await;
    let mut first = site.worker().await;
    let caller = Caller::new(&gateway.url().await);
    let answers = load(&caller, 8, 10);
    first.metric_reaches(DONE, 3.0).await;
    let mut second = site.worker().await;
    let (code, log) = first.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    let _third = site.worker().await;
    let (code, log) = second.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_all_answered(&answers.await.unwrap(), 80);
}

#[tokio::test]
async fn a_broker_that_is_killed_costs_time_and_no_answer() {
    let mut site = Site::new().await;
    // By this deadline, even a busy machine restarts the broker and judges all pictures.
    let mut gateway = site.start("faceline-gateway", &[("jobs.deadline", "2m")]).await;
    let mut worker = site.worker().await;
    let caller = Caller::new(&gateway.url().await);
    // The broker accepted the jobs of these calls before it was killed, so they are answered. Later calls would get
    // 503.
    let answers = load(&caller, JOBS, 1);
    gateway.metric_reaches(ACCEPTED, JOBS as f64).await;
    assert!(worker.metric(DONE).await < JOBS as f64, "nothing is left to lose");
    site.broker.kill9().await;
    site.broker.restart().await;
    assert_all_answered(&answers.await.unwrap(), JOBS);
    assert!(gateway.metric(REPUBLISHED).await > 0.0, "nothing was sent again");

    assert_all_answered(&load(&caller, 4, 1).await.unwrap(), 4);
}

#[tokio::test]
async fn a_gateway_whose_connection_is_cut_still_answers() {
    let site = Site::new().await;
    let proxy = CutProxy::start(site.broker.address()).await;
    let url = site.broker.url_at(proxy.address());
    let mut gateway = site.start("faceline-gateway", &[("broker.url", &url)]).await;
    let mut worker = site.worker().await;
    let caller = Caller::new(&gateway.url().await);
    let answers = load(&caller, JOBS, 1);
    gateway.metric_reaches(ACCEPTED, JOBS as f64).await;
    assert!(worker.metric(DONE).await < JOBS as f64, "nothing is left to lose");
    proxy.cut();
    assert_all_answered(&answers.await.unwrap(), JOBS);
    assert!(gateway.metric(REPUBLISHED).await > 0.0, "nothing was sent again");
}

#[tokio::test]
async fn without_workers_a_caller_is_told_to_come_again() {
    let site = Site::new().await;
    let mut gateway = site.start("faceline-gateway", &[("jobs.deadline", "5s")]).await;
    let caller = Caller::new(&gateway.url().await);
    let (status, body) = caller.face(bytes("obama2.jpg")).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert!(body["id"].is_string() && body["message"].is_string(), "{body}");
}

#[tokio::test]
async fn what_rests_at_broker_and_store_is_sealed() {
    let site = Site::new().await;
    let mut gateway = site.gateway().await;
    let caller = Caller::new(&gateway.url().await);
    let (large, small) = (bytes("obama.jpg"), small_picture());
    assert!(large.len() > 64 * 1024 && small.len() < 60 * 1024, "one travels as a blob, the other inline");

    // No worker takes the jobs, so they stay in the queue.
    let waiting = [&large, &small].map(|picture| {
        let (caller, picture) = (caller.clone(), picture.clone());
        tokio::spawn(async move { caller.face(picture).await })
    });
    jobs_wait(&site.broker, 2).await;
    let files = [stored(&site.broker.data_dir()), stored(site.redis.data_dir())].concat();
    for marker in ["published_at", "faceline:blob:"] {
        assert!(contains(&files, marker.as_bytes()), "`{marker}` is not on disk, so nothing is shown");
    }
    for picture in [&large, &small] {
        let middle = &picture[picture.len() / 2..][..16];
        assert!(!contains(&files, middle), "a picture lies in the clear");
    }
    for call in waiting {
        call.abort();
    }
}

/// A portrait of 250 x 250 pixels.
fn small_picture() -> Vec<u8> {
    let portrait = image::load_from_memory(&bytes("obama.jpg")).unwrap().thumbnail(250, 250).to_rgb8();
    let mut file = Cursor::new(Vec::new());
    portrait.write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
    file.into_inner()
}

async fn jobs_wait(broker: &RabbitMq, count: usize) {
    let wanted = format!("faceline.jobs.interactive\t{count}");
    let waiting = async {
        while !broker.control(&["-q", "list_queues", "name", "messages_ready"]).await.contains(&wanted) {}
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the jobs do not reach the queue");
}

/// The bytes of all files below a folder.
fn stored(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(stored(&path));
        } else {
            // A server may remove a file during the search.
            bytes.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    bytes
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
