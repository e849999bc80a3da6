//! Gateways and workers with a broker that has several nodes or TLS, is in alarm, silent, or misconfigured.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::job::{CodedPicture, JobResult, Outcome, Task};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::testkit::{CutProxy, PooledRabbitMq, RabbitMq, Redis, TestAuthority};
use faceline_worker::jobs::{Consumer, Handler, JobTimes, Unavailable, WorkerMetrics};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::process::{ExclusiveRun, Process};
use crate::raw::{Framing, Upload, UploadAnswer};

/// Time limit for a condition that a test waits for.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for a refusal that should come at once.
const PROMPT: Duration = Duration::from_secs(30);
const SMALL: &[u8] = &[7; 1000];
const ACCEPTED: &str = "faceline_gateway_published_total{outcome=\"accepted\"}";
const BLOCKED: &str = "faceline_broker_blocked";

/// A store, and the settings that all programs of a test share.
struct Site {
    _redis: Redis,
    settings: Vec<(&'static str, String)>,
    _folder: TempDir,
    _exclusive: ExclusiveRun,
}

impl Site {
    async fn new(broker_url: &str, settings: &[(&'static str, String)]) -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let redis = Redis::start().await;
        let folder = TempDir::new().unwrap();
        let mut all = vec![
            ("data_dir", folder.path().display().to_string()),
            ("broker.url", broker_url.to_owned()),
            ("store.url", redis.url()),
        ];
        all.extend(settings.iter().cloned());
        Self { _redis: redis, settings: all, _folder: folder, _exclusive: exclusive }
    }

    fn spawn(&self, program: &str) -> Process {
        let settings: Vec<_> = self.settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        Process::spawn(program, &settings)
    }

    async fn gateway(&self) -> Gateway {
        let mut process = self.spawn("faceline-gateway");
        process.logged("ready").await;
        let address = process.url().await.strip_prefix("http://").unwrap().parse().unwrap();
        Gateway { process, address }
    }

    /// A worker in this process that needs a permit for each job.
    fn worker(&self) -> Worker {
        let flags = self.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let settings = Settings::load(&Sources { file: None, flags }).unwrap();
        let services = SharedServices::open(settings).unwrap();
        let permits = Arc::new(Semaphore::new(0));
        let taken = Arc::new(Semaphore::new(0));
        let handler = Arc::new(GatedHandler { permits: Arc::clone(&permits), taken: Arc::clone(&taken) });
        let SharedServices { broker, blobs, keys, metrics, .. } = services.clone();
        let consumer = Consumer::new(broker, blobs, keys.data, handler, WorkerMetrics::new(&metrics));
        tokio::spawn(consumer.run(1, CancellationToken::new()));
        Worker { services, permits, taken }
    }
}

struct Gateway {
    process: Process,
    address: SocketAddr,
}

impl Gateway {
    async fn post(&self) -> UploadAnswer {
        post(self.address).await
    }

    fn posted(&self) -> JoinHandle<UploadAnswer> {
        tokio::spawn(post(self.address))
    }

    async fn refused(&mut self, cause: &str) -> f64 {
        let series = format!("faceline_http_refusals_total{{cause=\"{cause}\",operation=\"create_face\"}}");
        self.process.metric(&series).await
    }
}

async fn post(address: SocketAddr) -> UploadAnswer {
    Upload::begin(address, SMALL.len(), Framing::Length).await.send(SMALL).await
}

struct Worker {
    services: SharedServices,
    permits: Arc<Semaphore>,
    /// Has one permit for each job that the worker has started.
    taken: Arc<Semaphore>,
}

impl Worker {
    /// Waits until the worker has started a job.
    async fn wait_until_job_starts(&self) {
        tokio::time::timeout(TIMEOUT, self.taken.acquire())
            .await
            .expect("the worker starts no job")
            .unwrap()
            .forget();
    }

    /// Waits until the worker's metrics have this line.
    async fn wait_for_metric_line(&self, line: &str) {
        let mut poll = tokio::time::interval(Duration::from_millis(10));
        let shown = async {
            while !self.services.metrics.encode().lines().any(|shown| shown == line) {
                poll.tick().await;
            }
        };
        tokio::time::timeout(TIMEOUT, shown)
            .await
            .unwrap_or_else(|_| panic!("the worker's metrics never contain {line}"));
    }
}

/// Finds no face in any picture. Each job needs a permit from the test.
struct GatedHandler {
    permits: Arc<Semaphore>,
    taken: Arc<Semaphore>,
}

#[async_trait]
impl Handler for GatedHandler {
    fn slots(&self) -> usize {
        1
    }

    async fn handle(&self, _: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        self.taken.add_permits(1);
        self.permits.acquire().await.unwrap().forget();
        Ok((Ok(JobResult::Coded(CodedPicture { digest: String::new(), face: None })), JobTimes::default()))
    }
}

/// The log lines whose text contains `part`.
fn lines_with(process: &Process, part: &str) -> Vec<Value> {
    process.log().into_iter().filter(|line| line.to_string().contains(part)).collect()
}

#[tokio::test]
async fn jobs_go_on_while_one_node_of_several_answers() {
    let broker = PooledRabbitMq::take().await;
    let (one, other) = (CutProxy::start(broker.address()).await, CutProxy::start(broker.address()).await);
    // One node refuses connections, and one accepts them and never answers.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [closed, silent.local_addr().unwrap(), one.address(), other.address()];
    let urls = addresses.map(|address| broker.url_at(address)).join(",");
    let site = Site::new(&urls, &[]).await;
    let worker = site.worker();
    worker.permits.add_permits(100);
    let gateway = site.gateway().await;
    for (lost, back) in [(&other, &one), (&one, &other), (&other, &one)] {
        back.pass();
        lost.refuse();
        // Until all connections have found the other node, callers get 503.
        let answered = async {
            while gateway.post().await.status != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, answered).await.expect("the other node is not found");
    }
    worker.services.broker.close().await;
}

#[tokio::test]
async fn an_alarm_of_the_broker_is_named_and_loses_no_result() {
    let broker = PooledRabbitMq::take().await;
    let site = Site::new(&broker.url(), &[("jobs.deadline", "90s".into())]).await;
    let mut gateway = site.gateway().await;
    let worker = site.worker();
    let running = gateway.posted();
    worker.wait_until_job_starts().await;
    gateway.process.metric_reaches(ACCEPTED, 1.0).await;

    broker.control(&["set_vm_memory_high_watermark", "0.0001"]).await;
    // The first of these requests meets the alarm after its job was sent to the broker.
    for _ in 0..3 {
        let asked = Instant::now();
        gateway.post().await.assert_refused(503);
        assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
    }
    assert_eq!(gateway.refused("broker_blocked").await, 3.0);
    assert_eq!(gateway.process.metric(BLOCKED).await, 1.0);
    assert_eq!(lines_with(&gateway.process, "the broker blocks publishers").len(), 1);
    let degraded = "faceline_condition{condition=\"gateway_broker\",state=\"degraded\"}";
    gateway.process.metric_reaches(degraded, 1.0).await;

    // The worker now has a result that it cannot publish.
    worker.permits.add_permits(10);
    worker.wait_for_metric_line("faceline_broker_blocked 1").await;
    assert!(!running.is_finished());

    broker.control(&["set_vm_memory_high_watermark", "0.8"]).await;
    let answer = tokio::time::timeout(TIMEOUT, running).await.expect("the result is lost").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.process.metric_is(BLOCKED, |blocked| blocked == 0.0).await;
    assert_eq!(gateway.post().await.status, 200);
    assert_eq!(lines_with(&gateway.process, "the broker unblocks publishers").len(), 1);
    worker.services.broker.close().await;
}

#[tokio::test]
async fn a_silent_broker_delays_an_answer_by_a_second_at_most() {
    let broker = PooledRabbitMq::take().await;
    let proxy = CutProxy::start(broker.address()).await;
    let deadline = Duration::from_secs(10);
    let site = Site::new(&broker.url_at(proxy.address()), &[("jobs.deadline", "10s".into())]).await;
    let mut gateway = site.gateway().await;
    let asked = Instant::now();
    let waiting = gateway.posted();
    gateway.process.metric_reaches(ACCEPTED, 1.0).await;
    proxy.stall();
    let answer = waiting.await.unwrap();
    let late = asked.elapsed().saturating_sub(deadline);
    answer.assert_refused(503);
    assert!(late < Duration::from_secs(2), "{late:?} after the deadline");
    assert_eq!(gateway.refused("broker_unreachable").await, 1.0);
}

#[tokio::test]
async fn settings_that_the_broker_refuses_are_said_once() {
    let broker = PooledRabbitMq::take().await;
    let proxy = CutProxy::start(broker.address()).await;
    let url = broker.url_at(proxy.address());
    for (url, remedy) in [
        (format!("{url}/nowhere"), "rabbitmqctl add_vhost"),
        (url.replace(":guest@", ":wrong@"), "correct user and password in broker.url"),
    ] {
        let site = Site::new(&url, &[]).await;
        let mut gateway = site.spawn("faceline-gateway");
        let series = "faceline_broker_problem{reason=\"unreachable\"}";
        gateway.logged("public listener is open").await;
        let line =
            gateway.logged("the broker cannot be used until an operator changes this; retrying slowly").await;
        assert_eq!(line["level"], "ERROR", "{line}");
        assert!(line["error"].as_str().unwrap().contains(remedy), "{line}");
        // By this time, both connections have tried several times.
        let before = proxy.connections();
        let again = async {
            while proxy.connections() < before + 8 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, again).await.expect("the gateway does not reconnect");
        // A line about readiness may contain the reason, too.
        let errors = lines_with(&gateway, remedy).into_iter().filter(|line| line["level"] == "ERROR");
        assert_eq!(errors.count(), 1, "{:#?}", gateway.log());
        assert_eq!(lines_with(&gateway, "Exponential"), Vec::<Value>::new());
        assert_eq!(lines_with(&gateway, "lapin"), Vec::<Value>::new());
        assert_eq!(lines_with(&gateway, "wrong"), Vec::<Value>::new());
        assert_eq!(gateway.metric(series).await, 0.0);
        let label = if remedy.contains("vhost") { "virtual_host" } else { "credentials" };
        gateway.metric_reaches(&format!("faceline_broker_problem{{reason=\"{label}\"}}"), 1.0).await;
        assert_eq!(gateway.metric("faceline_broker_connected").await, 0.0);
    }
}

#[tokio::test]
async fn programs_speak_tls_with_a_private_authority() {
    let authority = TestAuthority::new();
    let broker = RabbitMq::start_tls(&authority).await;
    let client = authority.issue("client");
    let path = |path: std::path::PathBuf| path.display().to_string();
    let tls = [
        ("broker.tls.ca", path(authority.file())),
        ("broker.tls.certificate", path(client.certificate)),
        ("broker.tls.key", path(client.key)),
    ];
    let site = Site::new(&broker.tls_url(), &tls).await;
    let worker = site.worker();
    worker.permits.add_permits(1);
    let gateway = site.gateway().await;
    assert_eq!(gateway.post().await.status, 200);
    worker.services.broker.close().await;

    let site = Site {
        settings: site.settings.iter().filter(|(key, _)| !key.ends_with("tls.ca")).cloned().collect(),
        ..site
    };
    let mut untrusting = site.spawn("faceline-gateway");
    let line =
        untrusting.logged("the broker cannot be used until an operator changes this; retrying slowly").await;
    assert!(line["error"].as_str().unwrap().contains("broker.tls"), "{line}");
}
