//! Jobs that workers return to RabbitMQ. A return never counts as a failed attempt, however often it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway::jobs::{Dispatcher, JobRequest, Submit as _};
use faceline_shared::broker::Queue;
use faceline_shared::face::ImageType;
use faceline_shared::job::{CodedPicture, Coding, JobResult, Outcome, Task};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::{Metrics, TraceContext};
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use faceline_worker::jobs::{Consumer, Handler, JobTimes, Unavailable, WorkerMetrics};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use crate::process::ServerRun;

const TIMEOUT: Duration = Duration::from_secs(60);
const JOBS: usize = 12;

/// Processes each job as soon as it gets a permit, or reports that no model runs.
struct Gated {
    permits: Semaphore,
    running: AtomicUsize,
    is_broken: bool,
}

impl Gated {
    fn new(is_broken: bool) -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(0), running: AtomicUsize::new(0), is_broken })
    }
}

#[async_trait]
impl Handler for Gated {
    fn slots(&self) -> usize {
        2
    }

    async fn handle(&self, _: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        if self.is_broken {
            return Err(Unavailable::Models);
        }
        let done = JobResult::Coded(CodedPicture { digest: String::new(), face: None });
        Ok((Ok(done), JobTimes::default()))
    }
}

struct Site {
    _broker: PooledRabbitMq,
    _redis: Redis,
    _folder: TempDir,
    services: SharedServices,
    _run: ServerRun,
}

impl Site {
    async fn new() -> Self {
        let run = ServerRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
        let folder = TempDir::new().unwrap();
        let flags = vec![
            format!("broker.url={}", broker.url()),
            format!("store.url={}", redis.url()),
            format!("data_dir={}", folder.path().display()),
        ];
        let services = SharedServices::open(Settings::load(&Sources { file: None, flags }).unwrap()).unwrap();
        Self { _broker: broker, _redis: redis, _folder: folder, services, _run: run }
    }

    fn worker(&self, handler: Arc<Gated>) -> (tokio::task::JoinHandle<()>, CancellationToken, Metrics) {
        let SharedServices { broker, blobs, keys, .. } = self.services.clone();
        let (metrics, shutdown) = (Metrics::new(), CancellationToken::new());
        let consumer = Consumer::new(broker, blobs, keys.data, handler, WorkerMetrics::new(&metrics));
        (tokio::spawn(consumer.run(8, shutdown.clone())), shutdown, metrics)
    }

    async fn ready(&self, queue: &Queue) -> u64 {
        self.services.broker.depth(queue).await.unwrap().ready
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    let wait = async {
        while !holds().await {
            poll.tick().await;
        }
    };
    timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn job() -> JobRequest {
    JobRequest {
        id: Uuid::now_v7(),
        client: "test".into(),
        task: Task::Code(Coding {
            picture: Bytes::from_static(b"picture"),
            image_type: ImageType::Selfie,
            rotate: false,
        }),
        budget: Duration::from_secs(120),
        callers_own_deadline: false,
        trace: TraceContext::new(),
    }
}

/// Number of redeliveries in all queues.
fn redeliveries(metrics: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with("faceline_worker_redelivered_total{"));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_given_back_again_and_again_are_done_and_never_quarantined() {
    let site = Site::new().await;
    let SharedServices { broker, blobs, keys, metrics, .. } = site.services.clone();
    let dispatcher = Dispatcher::start("test", broker, blobs, keys.data, 64 * 1024, &metrics).await;
    dispatcher.watch_connection().wait_for(Option::is_some).await.unwrap();
    let dispatcher = Arc::new(dispatcher);
    let calls: Vec<_> = (0..JOBS)
        .map(|_| {
            let dispatcher = Arc::clone(&dispatcher);
            tokio::spawn(async move { dispatcher.submit(job()).await })
        })
        .collect();
    until("all jobs wait", async || site.ready(&Queue::Interactive).await == JOBS as u64).await;

    // Drains: two running jobs are finished. Six prefetched jobs are returned.
    let mut done = 0;
    for _ in 0..3 {
        let handler = Gated::new(false);
        let (consumer, shutdown, metrics) = site.worker(Arc::clone(&handler));
        until("two jobs run", async || handler.running.load(Ordering::SeqCst) == 2).await;
        let taken = (JOBS - done).min(8);
        let left = (JOBS - done - taken) as u64;
        until("the others are sent ahead", async || site.ready(&Queue::Interactive).await == left).await;
        shutdown.cancel();
        done += 2;
        until("the others are back", async || site.ready(&Queue::Interactive).await == (JOBS - done) as u64)
            .await;
        handler.permits.add_permits(2);
        timeout(TIMEOUT, consumer).await.expect("the worker does not end").unwrap();
        assert_eq!(redeliveries(&metrics.encode()), 0.0, "{}", metrics.encode());
    }

    // Workers whose models fail.
    for _ in 0..3 {
        let handler = Gated::new(true);
        let (consumer, shutdown, metrics) = site.worker(Arc::clone(&handler));
        until("two jobs run", async || handler.running.load(Ordering::SeqCst) >= 2).await;
        shutdown.cancel();
        handler.permits.add_permits(2);
        timeout(TIMEOUT, consumer).await.expect("the worker does not end").unwrap();
        until("all are back", async || site.ready(&Queue::Interactive).await == (JOBS - done) as u64).await;
        assert_eq!(redeliveries(&metrics.encode()), 0.0, "{}", metrics.encode());
    }

    let handler = Gated::new(false);
    handler.permits.add_permits(JOBS);
    let (consumer, shutdown, metrics) = site.worker(handler);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    shutdown.cancel();
    timeout(TIMEOUT, consumer).await.expect("the worker does not end").unwrap();
    assert_eq!(redeliveries(&metrics.encode()), 0.0, "{}", metrics.encode());
    for queue in [Queue::Interactive, Queue::Quarantine, Queue::DeadLetters] {
        assert_eq!(site.ready(&queue).await, 0, "{queue:?}");
    }
    site.services.broker.close().await;
}
