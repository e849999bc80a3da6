//! A poison message, which is a job that kills its worker, among a hundred good jobs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway::jobs::Submit as _;
use faceline_gateway::jobs::{Dispatcher, JobRequest, SubmitError};
use faceline_shared::broker::Queue;
use faceline_shared::face::ImageType;
use faceline_shared::job::{CodedPicture, JobFailure, JobResult, Outcome};
use faceline_shared::job::{Coding, Task};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::TraceContext;
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use faceline_worker::jobs::{Consumer, Handler, JobTimes, Unavailable, WorkerMetrics};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use crate::process::ServerRun;

pub(crate) const POISON: &[u8] = b"poison";
/// Environment variable with the settings of the child process. It is not a setting of the product.
const CHILD_SETTINGS: &str = "POISON_TEST_SETTINGS";
const PREFETCH: u16 = 24;

/// A worker's handler that answers at once, but aborts its process at a poisonous job.
struct Mortal;

#[async_trait]
impl Handler for Mortal {
    fn slots(&self) -> usize {
        4
    }

    async fn handle(&self, task: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        let Task::Code(picture) = task else { panic!("only pictures are sent") };
        if picture.picture == POISON {
            std::process::abort();
        }
        let digest = String::from_utf8(picture.picture.to_vec()).unwrap();
        Ok((Ok(JobResult::Coded(CodedPicture { digest, face: None })), JobTimes::default()))
    }
}

pub(crate) fn services(settings: &str) -> SharedServices {
    let flags = settings.lines().map(str::to_owned).collect();
    SharedServices::open(Settings::load(&Sources { file: None, flags }).unwrap()).unwrap()
}

/// Not a test: the worker that the test below starts as a process.
#[test]
#[ignore = "the child process of the test below"]
fn mortal_worker() {
    let Ok(settings) = std::env::var(CHILD_SETTINGS) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let services = services(&settings);
        let metrics = WorkerMetrics::new(&services.metrics);
        let consumer =
            Consumer::new(services.broker, services.blobs, services.keys.data, Arc::new(Mortal), metrics);
        consumer.run(PREFETCH, CancellationToken::new()).await;
    });
}

/// A worker in this process that answers every job, poison or not, until `stop`.
pub(crate) fn surviving(services: &SharedServices, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    struct Surviving;

    #[async_trait]
    impl Handler for Surviving {
        fn slots(&self) -> usize {
            1
        }

        async fn handle(&self, _: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
            let coded = CodedPicture { digest: String::new(), face: None };
            Ok((Ok(JobResult::Coded(coded)), JobTimes::default()))
        }
    }

    let metrics = WorkerMetrics::new(&services.metrics);
    let (broker, blobs, keys) = (services.broker.clone(), services.blobs.clone(), services.keys.data.clone());
    let consumer = Consumer::new(broker, blobs, keys, Arc::new(Surviving), metrics);
    tokio::spawn(async move { consumer.run(PREFETCH, stop).await })
}

/// Restarts the worker whenever it dies, as Kubernetes does. Returns the number of deaths.
pub(crate) async fn supervise(settings: String, stop: CancellationToken) -> u32 {
    let mut deaths = 0;
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "poison::mortal_worker"])
            .env(CHILD_SETTINGS, &settings)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        tokio::select! {
            () = stop.cancelled() => return deaths,
            _ = child.wait() => deaths += 1,
        }
    }
}

pub(crate) fn job(bytes: Bytes) -> JobRequest {
    JobRequest {
        id: Uuid::now_v7(),
        client: "test".into(),
        task: Task::Code(Coding { picture: bytes, image_type: ImageType::Selfie, rotate: false }),
        budget: Duration::from_secs(60),
        callers_own_deadline: false,
        trace: TraceContext::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_its_worker_fails_alone() {
    let _run = ServerRun::begin().await;
    let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
    let folder = TempDir::new().unwrap();
    let settings = format!(
        "broker.url={}\nstore.url={}\ndata_dir={}",
        broker.url(),
        redis.url(),
        folder.path().display()
    );
    let services = services(&settings);
    let dispatcher = Dispatcher::start(
        "test",
        services.broker.clone(),
        services.blobs,
        services.keys.data,
        services.settings.broker.inline_limit,
        &services.metrics,
    )
    .await;
    dispatcher.watch_connection().wait_for(Option::is_some).await.unwrap();

    let stop = CancellationToken::new();
    let supervisor = tokio::spawn(supervise(settings, stop.clone()));
    let good = |i: usize| job(format!("good {i}").into());
    let jobs = (0..50).map(good).chain([job(Bytes::from_static(POISON))]).chain((50..100).map(good));
    let answers = join_all(jobs.map(|job| dispatcher.submit(job))).await;
    // The worker answers before it dead-letters the job.
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    let dead = async {
        while services.broker.depth(&Queue::DeadLetters).await.unwrap().ready == 0 {
            poll.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), dead).await.expect("there is no dead letter");
    stop.cancel();
    let deaths = supervisor.await.unwrap();

    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(good.len(), 100, "{bad:?}");
    let [Err(SubmitError::Failed(JobFailure::Poison { attempts }))] = bad[..] else { panic!("{bad:?}") };
    assert_eq!((attempts, deaths), (3, 3), "{}", services.metrics.encode());
    assert_eq!(services.broker.depth(&Queue::DeadLetters).await.unwrap().ready, 1);
    services.broker.close().await;
}
