//! Gateways and workers during a failover of Redis, while Redis is unreachable or full, and while the broker is
//! unreachable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use faceline_shared::testkit::{CutProxy, PooledRabbitMq, Redis, Sentinel, demo_token};
use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::client::bytes;
use crate::process::{ExclusiveRun, Process};

/// Number of concurrent callers.
const CALLERS: usize = 4;
/// Time after a failover from which each request must succeed.
const BOUND: Duration = Duration::from_secs(5);
/// Time limit for an answer during an outage: the 5 s of an operation that times out, and a margin for a busy machine.
const QUICK: Duration = Duration::from_secs(12);
/// Text of `/readyz` without any fault.
const READY: &str = "ok\n";

struct Answer {
    asked: Instant,
    took: Duration,
    status: StatusCode,
    retry_after: Option<String>,
    /// The path of a session that was created.
    session: Option<String>,
}

/// A gateway's address, with a caller's connections to it.
#[derive(Clone)]
struct Caller {
    client: Client,
    url: String,
}

impl Caller {
    async fn of(gateway: &mut Process) -> Self {
        // A caller keeps its connections to the gateway, as a balancer does.
        Self { client: Client::new(), url: gateway.url().await }
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let asked = Instant::now();
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (retry_after, location) = (header("retry-after"), header("location"));
        answer.bytes().await.unwrap();
        Answer {
            asked,
            took: asked.elapsed(),
            status,
            retry_after,
            session: location.filter(|_| status == StatusCode::CREATED),
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    async fn create_session(&self) -> Answer {
        let request = self.post("/bioserver-app/v2/bio-sessions").header("apikey", "demo");
        self.send(request.header("content-type", "application/json").body(r#"{"ttlSeconds":600}"#)).await
    }

    async fn face(&self, picture: &[u8]) -> Answer {
        let form = Form::new().part("image", Part::bytes(picture.to_vec())).text("imageType", "SELFIE");
        self.send(self.post("/bioserver-app/v2/faces").header("apikey", "demo").multipart(form)).await
    }

    async fn face_liveness(&self, picture: &[u8]) -> Answer {
        let body = json!({ "faceImageBase": STANDARD.encode_to_string(picture) });
        let request = self.post("/api/v1/face/liveness").basic_auth("demo", Some("demo")).json(&body);
        self.send(request).await
    }

    async fn bws(&self, picture: &[u8]) -> Answer {
        let body = json!({ "liveImages": [{ "image": STANDARD.encode_to_string(picture) }] });
        self.send(self.post("/api/v1/livenessdetection").bearer_auth(demo_token(600)).json(&body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(format!("{}{path}", self.url)).header("apikey", "demo")).await
    }
}

/// Callers that create sessions and send large pictures, one after the other, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<Answer>>>,
}

impl Load {
    fn start(caller: &Caller) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let picture = bytes("obama.jpg");
        assert!(picture.len() > 64 * 1024, "the picture must travel through the blob store");
        let call = |number: usize| {
            let (caller, stop, picture) = (caller.clone(), Arc::clone(&stop), picture.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    if number == 0 {
                        answers.push(caller.face(&picture).await);
                    } else {
                        answers.push(caller.create_session().await);
                    }
                }
                answers
            })
        };
        Self { callers: (0..CALLERS).map(call).collect(), stop }
    }

    async fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.callers).await.into_iter().flat_map(Result::unwrap).collect()
    }
}

/// Asserts that each request after `bound` succeeded, that earlier refusals came quickly and with `Retry-After`, and
/// that no session was lost.
async fn assert_nothing_lost(caller: &Caller, answers: &[Answer], bound: Instant) {
    let late: Vec<_> = answers.iter().filter(|answer| answer.asked > bound).collect();
    assert!(late.len() > 50, "only {} requests after the failover", late.len());
    let refused = late.iter().filter(|answer| !answer.status.is_success()).count();
    assert_eq!(refused, 0, "of {} requests long after the failover", late.len());
    for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
        assert_refused(answer);
    }
    let sessions: Vec<_> = answers.iter().filter_map(|answer| answer.session.as_ref()).collect();
    for session in &sessions {
        let answer = caller.get(&format!("/bioserver-app{session}")).await;
        assert_eq!(answer.status, StatusCode::OK, "a session of {} is lost", sessions.len());
    }
    let refused = answers.iter().filter(|answer| !answer.status.is_success()).count();
    println!("{refused} of {} requests were refused; {} sessions are there", answers.len(), sessions.len());
}

fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.retry_after.is_some(), "a refusal has no Retry-After");
    assert!(answer.took < QUICK, "a refusal took {:?}", answer.took);
}

/// Status and text of `/readyz` for operators.
async fn readyz(process: &mut Process) -> (u16, String) {
    let answer = reqwest::get(format!("http://{}/readyz", process.admin().await)).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Waits until `/readyz` answers with this status, and with a text that begins with `start` and contains `reason`.
pub(crate) async fn readyz_says(process: &mut Process, status: u16, start: &str, reason: &str) {
    let started = Instant::now();
    loop {
        let answer = readyz(process).await;
        if answer.0 == status && answer.1.starts_with(start) && answer.1.contains(reason) {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{answer:?} instead of {status} {start:?} {reason:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Broker, two Redis servers, and the data folder that all processes share.
struct Site {
    broker: PooledRabbitMq,
    master: Redis,
    replica: Redis,
    folder: TempDir,
    _exclusive: ExclusiveRun,
}

impl Site {
    async fn new() -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let (broker, master, replica) = tokio::join!(PooledRabbitMq::take(), Redis::start(), Redis::start());
        replica.replicate(&master).await;
        Self { broker, master, replica, folder: TempDir::new().unwrap(), _exclusive: exclusive }
    }

    async fn start(&self, program: &str, store: &str, broker: &str) -> Process {
        let folder = self.folder.path().to_str().unwrap();
        let settings = [
            ("data_dir", folder),
            ("broker.url", broker),
            ("store.url", store),
            ("inference.sessions", "1"),
            ("limits.requests_per_second", "10000"),
            ("limits.burst", "10000"),
        ];
        Process::start(program, &settings).await
    }
}

#[tokio::test]
async fn a_demoted_master_costs_no_request_after_a_moment_though_its_connections_stay_open() {
    let site = Site::new().await;
    // The proxy represents a host name whose address changes while open connections stay.
    let name = CutProxy::start(site.master.address()).await;
    let (store, broker) = (site.master.url_at(name.address()), site.broker.url());
    let (mut gateway, mut worker) = tokio::join!(
        site.start("faceline-gateway", &store, &broker),
        site.start("faceline-worker", &store, &broker)
    );
    let caller = Caller::of(&mut gateway).await;
    let load = Load::start(&caller);
    gateway.metric_reaches("faceline_gateway_published_total{outcome=\"accepted\"}", 3.0).await;

    name.redirect(site.replica.address());
    site.master.hand_over_to(&site.replica).await;
    let bound = Instant::now() + BOUND;
    tokio::time::sleep(2 * BOUND).await;
    readyz_says(&mut gateway, 200, READY, "").await;
    readyz_says(&mut worker, 200, READY, "").await;
    let answers = load.stop().await;
    assert_nothing_lost(&caller, &answers, bound).await;
}

#[tokio::test]
async fn sentinels_promote_and_gateway_and_worker_follow() {
    let mut site = Site::new().await;
    let sentinel = Sentinel::start(&site.master, &[]).await;
    let store = format!("redis+sentinel://{}/{}", sentinel.host(), Sentinel::MASTER);
    let broker = site.broker.url();
    let (mut gateway, mut worker) = tokio::join!(
        site.start("faceline-gateway", &store, &broker),
        site.start("faceline-worker", &store, &broker)
    );
    let caller = Caller::of(&mut gateway).await;
    let port = sentinel.host().rsplit_once(':').unwrap().1.to_owned();
    let replicas = ["-p", &port, "SENTINEL", "replicas", Sentinel::MASTER];
    let known = async { while !site.master.control(&replicas).await.contains("master-link-status") {} };
    tokio::time::timeout(Duration::from_secs(30), known).await.expect("the sentinel finds no replica");
    let load = Load::start(&caller);
    gateway.metric_reaches("faceline_gateway_published_total{outcome=\"accepted\"}", 3.0).await;

    // A write that is not on the replica yet would be lost with the master, so the test waits until all sessions are
    // there.
    site.master.control(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    site.master.control(&["WAIT", "1", "10000"]).await;
    site.master.kill9().await;
    readyz_says(&mut gateway, 200, "ok\ndegraded: gateway_", "gateway_store: ").await;
    // The sentinel is asked, because it closes all connections of a replica that it promotes.
    let master = ["-p", &port, "SENTINEL", "get-master-addr-by-name", Sentinel::MASTER];
    let replica = site.replica.address().port().to_string();
    let promoted =
        async { while !site.replica.control(&master).await.lines().any(|line| line == replica) {} };
    tokio::time::timeout(Duration::from_secs(60), promoted).await.expect("no replica is promoted");
    let bound = Instant::now() + BOUND;
    tokio::time::sleep(2 * BOUND).await;
    readyz_says(&mut gateway, 200, READY, "").await;
    readyz_says(&mut worker, 200, READY, "").await;
    let answers = load.stop().await;
    assert_nothing_lost(&caller, &answers, bound).await;
}

#[tokio::test]
async fn an_instance_is_degraded_while_a_shared_service_is_unreachable_or_fails_over() {
    let mut site = Site::new().await;
    let name = CutProxy::start(site.master.address()).await;
    let broker_name = CutProxy::start(site.broker.address()).await;
    let (store, broker) = (site.master.url_at(name.address()), site.broker.url_at(broker_name.address()));
    let (mut gateway, mut worker) = tokio::join!(
        site.start("faceline-gateway", &store, &broker),
        site.start("faceline-worker", &store, &broker)
    );
    let caller = Caller::of(&mut gateway).await;
    let (large, small) = (bytes("obama.jpg"), bytes("obama.jpg")[..1000].to_vec());
    readyz_says(&mut gateway, 200, READY, "").await;
    assert_eq!(caller.get("/bioserver-app/v2/capabilities").await.status, StatusCode::OK);

    // Redis is silent, and then it refuses connections.
    for (fault, reason) in [(CutProxy::stall as fn(&CutProxy), "no"), (CutProxy::refuse, "gateway_store: ")] {
        fault(&name);
        readyz_says(&mut gateway, 200, "ok\ndegraded: gateway_blobs, gateway_store", reason).await;
        readyz_says(&mut worker, 200, "ok\ndegraded: worker_blobs\n", "worker_blobs: ").await;
        for _ in 0..5 {
            assert_refused(&caller.create_session().await);
            assert_refused(&caller.face(&large).await);
            assert_refused(&caller.face_liveness(&large).await);
            assert_refused(&caller.bws(&large).await);
            assert_refused(&caller.get("/bioserver-app/v2/capabilities").await);
        }
        // The public listener gives callers no reasons; the operators' listener does.
        let body = reqwest::get(format!("{}/readyz", caller.url)).await.unwrap().text().await.unwrap();
        assert_eq!(body, "ok\ndegraded: gateway_blobs, gateway_store\n");
        assert_eq!(
            gateway.metric(r#"faceline_condition{condition="gateway_store",state="degraded"}"#).await,
            1.0
        );
        name.cut();
        name.pass();
        readyz_says(&mut gateway, 200, READY, "").await;
        readyz_says(&mut worker, 200, READY, "").await;
    }

    // The broker refuses connections.
    broker_name.refuse();
    readyz_says(&mut gateway, 200, "ok\ndegraded: gateway_broker\n", "gateway_broker: ").await;
    readyz_says(&mut worker, 200, "ok\ndegraded: worker_broker\n", "").await;
    for _ in 0..5 {
        assert_refused(&caller.face(&small).await);
        assert_refused(&caller.face_liveness(&small).await);
        assert_refused(&caller.bws(&small).await);
        assert_refused(&caller.get("/bioserver-app/v2/capabilities").await);
    }
    broker_name.pass();
    readyz_says(&mut gateway, 200, READY, "").await;
    readyz_says(&mut worker, 200, READY, "").await;

    // The store is full for all instances, so none of them would do better.
    site.master.control(&["CONFIG", "SET", "maxmemory", "1"]).await;
    readyz_says(&mut gateway, 200, "ok\ndegraded: gateway_blobs, gateway_store\n", "is full").await;
    assert_refused(&caller.create_session().await);
    site.master.control(&["CONFIG", "SET", "maxmemory", "0"]).await;
    readyz_says(&mut gateway, 200, READY, "").await;

    // A failover: the master's name leads to a replica, and later to the new master.
    site.master.hand_over_to(&site.replica).await;
    readyz_says(&mut gateway, 200, "ok\ndegraded: gateway_blobs, gateway_store\n", "is a replica").await;
    readyz_says(&mut worker, 200, "ok\ndegraded: worker_blobs\n", "is a replica").await;
    assert_refused(&caller.create_session().await);
    name.redirect(site.replica.address());
    readyz_says(&mut gateway, 200, READY, "").await;
    assert_eq!(caller.create_session().await.status, StatusCode::CREATED);
    site.broker.kill9().await;
    let (code, log) = gateway.terminate().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn an_instance_that_never_reached_its_store_is_not_ready_and_says_why() {
    let site = Site::new().await;
    let folder = site.folder.path().to_str().unwrap();
    let broker = site.broker.url();
    let mut gateway = Process::spawn(
        "faceline-gateway",
        &[("data_dir", folder), ("broker.url", &broker), ("store.url", "redis://127.0.0.1:1")],
    );
    readyz_says(
        &mut gateway,
        503,
        "not ready: gateway_blobs, gateway_store\n",
        "gateway_store: the session store",
    )
    .await;
}
