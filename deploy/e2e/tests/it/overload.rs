//! Overload: refusals for callers, metrics for operators, and the cost of a refusal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_shared::broker::Queue;
use faceline_shared::job::{CodedPicture, JobResult, Outcome, Task};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::testkit::{CutProxy, PooledRabbitMq, Redis};
use faceline_worker::jobs::{Consumer, Handler, JobTimes, Unavailable, WorkerMetrics};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::client::bytes;
use crate::process::{ExclusiveRun, Process};
use crate::raw::{Framing, Upload, UploadAnswer};

/// Time limit for a condition that a test waits for.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A picture that is small enough to be sent within the message.
const SMALL: &[u8] = &[7; 1000];
const IN_FLIGHT: &str = "faceline_gateway_inflight_jobs";
const IN_FLIGHT_BYTES: &str = "faceline_gateway_inflight_bytes";
const PENDING: &str = "faceline_gateway_pending_jobs";
const ACCEPTED: &str = "faceline_gateway_published_total{outcome=\"accepted\"}";
const LIMIT: &str = "faceline_gateway_limit_jobs";
const MIB: usize = 1 << 20;

/// The key `demo` with a rate limit. It has another id, which separates its requests from those to other gateways.
const ONE_A_SECOND: &str = r#"
    [[clients]]
    name = "hasty"
    [[clients.keys]]
    id = "hasty"
    secret = { api_key_sha256 = "2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea" }
    permissions = ["faces:create"]
    requests_per_second = 1
"#;

/// Broker, store, and the settings that all programs of a test share.
struct Site {
    broker: PooledRabbitMq,
    redis: Redis,
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
    _exclusive: ExclusiveRun,
}

impl Site {
    async fn new(settings: &[(&'static str, &str)]) -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
        let folder = TempDir::new().unwrap();
        let mut all = vec![
            ("data_dir", folder.path().display().to_string()),
            ("broker.url", broker.url()),
            ("store.url", redis.url()),
            ("limits.client_share", "1".to_owned()),
        ];
        all.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Self { broker, redis, settings: all, folder, _exclusive: exclusive }
    }

    async fn start(&self, program: &str, settings: &[(&str, &str)]) -> Process {
        let shared = self.settings.iter().map(|(key, value)| (*key, value.as_str()));
        let settings: Vec<_> = shared.chain(settings.iter().copied()).collect();
        Process::start(program, &settings).await
    }

    async fn gateway(&self, settings: &[(&str, &str)]) -> Gateway {
        let mut process = self.start("faceline-gateway", settings).await;
        let address = process.url().await.strip_prefix("http://").unwrap().parse().unwrap();
        Gateway { process, address }
    }

    /// A worker in this process with a handler of the test.
    async fn worker(&self, handler: Arc<dyn Handler>) -> Worker {
        let flags = self.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let services = SharedServices::open(Settings::load(&Sources { file: None, flags }).unwrap()).unwrap();
        let SharedServices { broker, blobs, keys, metrics, .. } = services.clone();
        let consumer = Consumer::new(broker, blobs, keys.data, handler, WorkerMetrics::new(&metrics));
        tokio::spawn(consumer.run(1, CancellationToken::new()));
        let consuming = async {
            let depth = async || services.broker.depth(&Queue::Interactive).await.unwrap_or_default();
            until(async || depth().await.consumers > 0).await;
        };
        tokio::time::timeout(TIMEOUT, consuming).await.expect("the worker does not consume");
        Worker { services }
    }

    /// Number of blobs in the store.
    async fn blobs(&self) -> usize {
        let mut stream = TcpStream::connect(self.redis.address()).await.unwrap();
        stream.write_all(b"KEYS faceline:blob:*\r\nQUIT\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap().trim_start_matches('*').parse().unwrap()
    }
}

/// Polls a condition that has no event to wait for.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    while !is_so().await {
        poll.tick().await;
    }
}

struct Gateway {
    process: Process,
    address: SocketAddr,
}

impl Gateway {
    async fn post(&self, picture: &[u8]) -> UploadAnswer {
        post(self.address, picture).await
    }

    fn posted(&self, picture: &'static [u8]) -> JoinHandle<UploadAnswer> {
        tokio::spawn(post(self.address, picture))
    }

    async fn refused(&mut self, cause: &str) -> f64 {
        let series = format!("faceline_http_refusals_total{{cause=\"{cause}\",operation=\"create_face\"}}");
        self.process.metric(&series).await
    }

    async fn assert_counted(&mut self, cause: &str) {
        assert!(self.refused(cause).await >= 1.0, "`{cause}` is not counted");
    }
}

async fn post(address: SocketAddr, picture: &[u8]) -> UploadAnswer {
    Upload::begin(address, picture.len(), Framing::Length).await.send(picture).await
}

struct Worker {
    services: SharedServices,
}

/// Finds no face in any picture. Each job needs a permit from the test.
struct GatedHandler(Semaphore);

#[async_trait]
impl Handler for GatedHandler {
    fn slots(&self) -> usize {
        1
    }

    async fn handle(&self, _: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        self.0.acquire().await.unwrap().forget();
        no_face()
    }
}

/// Finds no face in any picture, and takes twenty milliseconds for each.
struct SlowHandler;

#[async_trait]
impl Handler for SlowHandler {
    fn slots(&self) -> usize {
        1
    }

    async fn handle(&self, _: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        no_face()
    }
}

fn no_face() -> Result<(Outcome, JobTimes), Unavailable> {
    Ok((Ok(JobResult::Coded(CodedPicture { digest: String::new(), face: None })), JobTimes::default()))
}

#[tokio::test]
async fn without_workers_each_bound_is_reached_and_told_apart() {
    let site = Site::new(&[("broker.max_length", "3")]).await;
    let deadline = ("jobs.deadline", "3s");
    let accounts = site.folder.path().join("accounts.toml");
    std::fs::write(&accounts, ONE_A_SECOND).unwrap();
    let accounts = ("accounts.file", accounts.to_str().unwrap());
    // With a shorter time, a gateway with a slow store would decide on its own, and admit one more request.
    let rate_check_time = ("limits.rate_check_time", "5s");
    let mut rate = site.gateway(&[deadline, accounts, rate_check_time]).await;
    let mut share = site.gateway(&[("limits.inflight_jobs", "2"), ("limits.client_share", "0.5")]).await;
    let mut jobs = site.gateway(&[("limits.inflight_jobs", "1")]).await;
    let mut bytes =
        site.gateway(&[("limits.inflight_bytes", "2097152"), ("limits.picture_bytes", "2000000")]).await;
    let mut queue = site.gateway(&[deadline]).await;

    // The body of the first request never ends, so the gateway publishes no job.
    for (gateway, cause) in [(&mut share, "client_share"), (&mut jobs, "in_flight"), (&mut bytes, "bytes")] {
        let half = Upload::begin(gateway.address, 1_500_000, Framing::Length).await;
        gateway.process.metric_reaches(IN_FLIGHT, 1.0).await;
        gateway.post(&vec![7; 1_000_000]).await.assert_refused(429);
        gateway.assert_counted(cause).await;
        drop(half);
    }

    assert_cheap_to_refuse(&mut jobs).await;

    let first = rate.posted(SMALL);
    rate.process.metric_reaches(PENDING, 1.0).await;
    // A request that comes a second later is admitted as well, so two are sent at once.
    while rate.refused("client_rate").await == 0.0 {
        let (one, other) = tokio::join!(rate.post(SMALL), rate.post(SMALL));
        one.assert_refused(429);
        other.assert_refused(429);
    }

    // A quorum queue may accept a few jobs beyond its limit.
    let mut calls = Vec::new();
    while queue.refused("queue_full").await == 0.0 {
        calls.push(queue.posted(SMALL));
        let settled = until(async || {
            let full = queue.process.metric("faceline_gateway_published_total{outcome=\"full\"}").await;
            full + queue.process.metric(ACCEPTED).await >= calls.len() as f64
        });
        tokio::time::timeout(TIMEOUT, settled).await.expect("the broker says nothing");
    }
    assert!(calls.len() <= 10, "{} jobs for three places", calls.len());
    for answer in join_all(calls).await {
        answer.unwrap().assert_refused(429);
    }
    queue.assert_counted("queue_full").await;
    queue.assert_counted("no_worker").await;
    first.await.unwrap().assert_refused(429);
    rate.assert_counted("no_worker").await;
    assert_eq!(queue.process.metric(IN_FLIGHT).await, 0.0);
}

/// Asserts that a refusal takes less than a quarter of a job's CPU time (at least 12 ms): nothing is read, hashed or
/// published for it. The unoptimised gateway of the tests takes 1 ms on a busy machine, and an optimised one 0.02 ms.
async fn assert_cheap_to_refuse(gateway: &mut Gateway) {
    const REFUSALS: u32 = 2000;
    let held = Upload::begin(gateway.address, 1_500_000, Framing::Length).await;
    gateway.process.metric_reaches(IN_FLIGHT, 1.0).await;
    let before = gateway.process.cpu_time();
    let url = format!("http://{}/bioserver-app/v2/faces", gateway.address);
    let client = reqwest::Client::new();
    for _ in 0..REFUSALS {
        let request = client.post(&url).header("apikey", "demo");
        let request = request.header("content-type", "multipart/form-data; boundary=b").body(SMALL);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 429);
        answer.bytes().await.unwrap();
    }
    let each = (gateway.process.cpu_time() - before) / REFUSALS;
    println!("{each:?} a refusal");
    assert!(each < Duration::from_millis(12) / 4, "{each:?} a refusal");
    drop(held);
}

#[tokio::test]
async fn a_deadline_is_missed_in_the_queue_or_at_work() {
    let site = Site::new(&[("jobs.deadline", "2s")]).await;
    let held = Arc::new(GatedHandler(Semaphore::new(0)));
    let worker = site.worker(Arc::clone(&held) as _).await;
    let mut gateway = site.gateway(&[]).await;

    // The worker takes one of the jobs; the other one waits.
    let (one, other) = tokio::join!(gateway.post(SMALL), gateway.post(SMALL));
    one.assert_refused(429);
    other.assert_refused(429);
    assert_eq!(gateway.refused("deadline_queued").await, 2.0);

    held.0.add_permits(1);
    // The waiting job is cancelled by now, so the worker skips it.
    let skipped = "faceline_worker_dropped_total{reason=\"cancelled\"} 1";
    let is_skipped = until(async || worker.services.metrics.encode().contains(skipped));
    tokio::time::timeout(TIMEOUT, is_skipped).await.expect("the cancelled job is not skipped");

    let late = gateway.post(SMALL).await;
    assert_eq!((late.status.as_u16(), late.retry_after), (500, None), "{late:?}");
    assert!(late.body["id"].is_string(), "{late:?}");
    assert_eq!(gateway.refused("deadline_running").await, 1.0);
    worker.services.broker.close().await;
}

#[tokio::test]
async fn an_outage_is_reported_with_the_service_that_is_unreachable() {
    let mut site = Site::new(&[]).await;
    let proxy = CutProxy::start(site.broker.address()).await;
    let mut gateway = site.gateway(&[("broker.url", &site.broker.url_at(proxy.address()))]).await;
    site.redis.kill9().await;
    gateway.post(&[7; 100_000]).await.assert_refused(503);
    gateway.assert_counted("store_unreachable").await;

    proxy.refuse();
    proxy.cut();
    gateway.process.logged("the reply queue is lost").await;
    gateway.post(SMALL).await.assert_refused(503);
    gateway.assert_counted("broker_unreachable").await;
}

#[tokio::test]
async fn gateways_that_share_a_queue_let_in_what_does_not_wait_too_long() {
    let site = Site::new(&[("limits.inflight_jobs", "32"), ("admission.target_wait", "100ms")]).await;
    let worker = site.worker(Arc::new(SlowHandler)).await;
    let (one, other) = tokio::join!(site.gateway(&[]), site.gateway(&[]));
    // The worker processes fifty jobs a second, and each gateway starts with a limit of 32.
    let mut gateways = [one, other];
    for gateway in &mut gateways {
        // As many jobs as the limit may wait, as long as no request is refused.
        for _ in 0..2 {
            for answer in join_all((0..32).map(|_| gateway.posted(SMALL))).await {
                assert_eq!(answer.unwrap().status, 200);
            }
        }
        assert_eq!(gateway.process.metric(LIMIT).await, 32.0);
    }
    // Then more requests come than can be admitted, until both gateways have reacted.
    let addresses = gateways.each_ref().map(|gateway| gateway.address);
    let overload = addresses.iter().flat_map(|address| [*address; 60]).map(|address| {
        tokio::spawn(async move {
            loop {
                let answer = post(address, SMALL).await;
                if answer.status != 200 {
                    answer.assert_refused(429);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        })
    });
    let overload: Vec<_> = overload.collect();
    for gateway in &mut gateways {
        gateway.process.metric_is(LIMIT, |jobs| jobs < 16.0).await;
    }
    for call in overload {
        call.abort();
    }
    worker.services.broker.close().await;
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_job_along() {
    const CALLS: usize = 40;
    let site = Site::new(&[]).await;
    let mut gateway = site.gateway(&[]).await;
    let mut worker = site.start("faceline-worker", &[("inference.sessions", "1")]).await;
    // Large enough to be stored as a blob, and to take some time.
    let portrait = image::load_from_memory(&bytes("obama.jpg")).unwrap().to_rgb8();
    let large = image::imageops::resize(&portrait, 3000, 3000, image::imageops::FilterType::Nearest);
    let mut file = std::io::Cursor::new(Vec::new());
    large.write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
    let picture: &'static [u8] = file.into_inner().leak();

    let calls: Vec<_> = (0..CALLS).map(|_| gateway.posted(picture)).collect();
    gateway.process.metric_reaches(PENDING, 5.0).await;
    for call in &calls {
        call.abort();
    }
    // The gateway has no more jobs in flight, while the worker still has some.
    let free = until(async || gateway.process.metric(IN_FLIGHT).await == 0.0);
    tokio::time::timeout(TIMEOUT, free).await.expect("jobs stay in flight although their callers have left");
    assert_eq!(gateway.process.metric(IN_FLIGHT_BYTES).await, 0.0);
    let deleted = until(async || site.blobs().await == 0);
    tokio::time::timeout(TIMEOUT, deleted).await.expect("blobs remain although their callers have left");

    let cancelled = gateway.process.metric("faceline_gateway_cancelled_total").await;
    assert!(cancelled >= 5.0, "{cancelled} calls were cancelled");
    let skipped = "faceline_worker_dropped_total{reason=\"cancelled\"}";
    worker.metric_reaches(skipped, 1.0).await;
    // The next request does not wait for them: all earlier deliveries are settled.
    assert_eq!(gateway.post(picture).await.status, 200);
    let published = gateway.process.metric(ACCEPTED).await;
    let not_done = worker.metric(skipped).await;
    let done = worker.metric("faceline_worker_answered_total{outcome=\"done\"}").await;
    assert!(not_done >= cancelled / 2.0, "{not_done} of {cancelled} are skipped, {done} of {published} done");
}

#[tokio::test]
async fn a_flood_of_large_bodies_stays_within_its_budget() {
    const CALLS: usize = 24;
    let site = Site::new(&[("jobs.deadline", "10s")]).await;
    let budget = 128 * MIB;
    let mut gateway = site.gateway(&[("limits.inflight_bytes", &budget.to_string())]).await;
    let before = gateway.process.peak_memory();
    let picture: &'static [u8] = vec![7; 30 * MIB].leak();
    let calls = (0..CALLS).map(|number| {
        let framing = if number % 2 == 0 { Framing::Length } else { Framing::Chunks };
        let address = gateway.address;
        tokio::spawn(async move { Upload::begin(address, picture.len(), framing).await.send(picture).await })
    });
    for answer in join_all(calls).await {
        answer.unwrap().assert_refused(429);
    }
    let grown = gateway.process.peak_memory() - before;
    println!("{} MiB for a budget of {} MiB", grown / MIB, budget / MIB);
    let held = gateway.refused("no_worker").await;
    assert!((1.0..=4.0).contains(&held), "{held} were let in");
    assert_eq!(gateway.refused("bytes").await, CALLS as f64 - held);
    // The gateway seals one picture at a time for the store, and the allocator keeps freed memory for each thread.
    let threads = std::thread::available_parallelism().unwrap().get();
    let constant = (threads + 1) * 32 * MIB;
    assert!(grown <= budget + constant, "{} MiB for a budget of {} MiB", grown / MIB, budget / MIB);
    // The whole budget is free again for the next request.
    assert_eq!(gateway.process.metric(IN_FLIGHT_BYTES).await, 0.0);
    gateway.post(picture).await.assert_refused(429);
    assert_eq!(gateway.refused("no_worker").await, held + 1.0);
}

/// One caller of the test below: the status of the first try, and of the second one if the caller obeys `Retry-After`.
async fn try_twice(address: SocketAddr, number: usize, obeys: bool) -> (u16, Option<u16>) {
    let picture = vec![7; 1000 + number % 5000];
    let first = post(address, &picture).await;
    let Some(seconds) = first.retry_after.filter(|_| obeys) else { return (first.status.as_u16(), None) };
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    (first.status.as_u16(), Some(post(address, &picture).await.status.as_u16()))
}

#[tokio::test]
#[ignore = "takes two minutes, and measures: `cargo test --release --workspace --test it -- --ignored three_times`"]
async fn at_three_times_the_capacity_goodput_stays_and_retry_after_is_true() {
    const SECONDS: usize = 60;
    let site = Site::new(&[]).await;
    let worker = site.worker(Arc::new(SlowHandler)).await;
    let mut gateway = site.gateway(&[]).await;
    let answered = "faceline_worker_answered_total{outcome=\"done\"} ";
    let done = || {
        let metrics = worker.services.metrics.encode();
        metrics.lines().find_map(|line| line.strip_prefix(answered)?.parse::<f64>().ok()).unwrap_or(0.0)
    };

    let address = gateway.address;
    let started = tokio::time::Instant::now();
    join_all((0..10).map(async |_| {
        while started.elapsed() < Duration::from_secs(10) {
            assert_eq!(post(address, SMALL).await.status, 200);
        }
    }))
    .await;
    let peak = done() / started.elapsed().as_secs_f64();

    let (before, started) = (done(), tokio::time::Instant::now());
    let mut arrivals = tokio::time::interval(Duration::from_secs_f64(1.0 / (3.0 * peak)));
    let mut calls = Vec::new();
    let cpu = gateway.process.cpu_time();
    while started.elapsed() < Duration::from_secs(SECONDS as u64) {
        arrivals.tick().await;
        // Three of ten obey `Retry-After`, the others do not retry.
        calls.push(tokio::spawn(try_twice(address, calls.len(), calls.len() % 10 < 3)));
    }
    let goodput = (done() - before) / started.elapsed().as_secs_f64() / peak;
    let cpu = gateway.process.cpu_time() - cpu;
    let wait = gateway.refused("wait").await;
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let first = answers.iter().filter(|(status, _)| *status == 200).count();
    let again: Vec<_> = answers.iter().filter_map(|(_, second)| *second).collect();
    let served = again.iter().filter(|status| **status == 200).count();
    println!(
        "peak {peak:.1}/s, goodput {goodput:.2} of it; {first} of {} served at once, {wait} refused; {served} of {} \
         served after Retry-After; gateway {:.1} s CPU",
        answers.len(),
        again.len(),
        cpu.as_secs_f64()
    );
    assert!(goodput >= 0.9, "{goodput}");
    assert!(served as f64 >= 0.9 * again.len() as f64, "{served} of {}", again.len());
    worker.services.broker.close().await;
}
