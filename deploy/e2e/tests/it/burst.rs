//! Bursts: after an overload, the gateway queues calls that the workers can process in time, and `Retry-After` follows
//! the capacity of the workers.

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
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use faceline_worker::jobs::{Consumer, Handler, JobTimes, Unavailable, WorkerMetrics};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::process::{ExclusiveRun, Process};
use crate::raw::{Framing, Upload, UploadAnswer};

/// Duration of an overload: several times the wait of a full gateway.
const OVERLOAD: Duration = Duration::from_secs(8);
/// Time limit after the last answer for the limit on jobs to recover. On an idle machine it takes a few seconds.
const RECOVERY: Duration = Duration::from_secs(30);
const IN_FLIGHT: &str = "faceline_gateway_inflight_jobs";
const LIMIT: &str = "faceline_gateway_limit_jobs";
const REFUSED: &str = "faceline_http_refusals_total{cause=\"wait\",operation=\"create_face\"}";
const SHARE_REFUSED: &str = "faceline_http_refusals_total{cause=\"client_share\",operation=\"create_face\"}";
/// Idle time after an overload. It is part of the test, so there is no event to wait for.
const IDLE: Duration = Duration::from_secs(3);
/// Time that [`EvenHandler`] takes for a job.
const SERVICE: Duration = Duration::from_millis(20);

/// A gateway, with the broker and the store that it shares with workers. All settings that are not named are defaults.
struct Site {
    gateway: Process,
    address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    _servers: (PooledRabbitMq, Redis, TempDir, ExclusiveRun),
}

impl Site {
    async fn new(settings: &[(&'static str, &str)]) -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
        let folder = TempDir::new().unwrap();
        let shared = [
            ("data_dir", folder.path().display().to_string()),
            ("broker.url", broker.url()),
            ("store.url", redis.url()),
        ];
        let own = settings.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let settings: Vec<_> = shared.into_iter().chain(own).collect();
        let mut gateway = start("faceline-gateway", &settings).await;
        let address = gateway.url().await.strip_prefix("http://").unwrap().parse().unwrap();
        Self { gateway, address, settings, _servers: (broker, redis, folder, exclusive) }
    }

    /// Many callers that ignore `Retry-After` send requests for [`OVERLOAD`]. Returns when all of them are answered.
    async fn overload(&mut self, callers: usize, picture: &'static [u8]) {
        let (address, end) = (self.address, Instant::now() + OVERLOAD);
        let calls = (0..callers).map(|_| {
            tokio::spawn(async move {
                while Instant::now() < end {
                    if post(address, picture).await.status != 200 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            })
        });
        for call in join_all(calls).await {
            call.unwrap();
        }
        let refused = self.gateway.metric(REFUSED).await + self.gateway.metric(SHARE_REFUSED).await;
        assert!(refused > 100.0, "{refused} refusals are no overload");
        self.gateway.metric_is(IN_FLIGHT, |jobs| jobs == 0.0).await;
    }

    /// Waits until the limit on jobs is `jobs`.
    async fn assert_recovers_to(&mut self, jobs: f64) {
        let present = self.gateway.metric(LIMIT).await;
        println!("after the overload {present} jobs may be in flight");
        let recovered = self.gateway.metric_is(LIMIT, |limit| limit == jobs);
        if tokio::time::timeout(RECOVERY, recovered).await.is_err() {
            panic!("the limit is {} jobs and not {jobs}", self.gateway.metric(LIMIT).await);
        }
    }

    /// Sends the calls at once.
    async fn at_once(&self, calls: usize, picture: &'static [u8]) -> Vec<UploadAnswer> {
        let address = self.address;
        let calls = (0..calls).map(|_| tokio::spawn(post(address, picture)));
        join_all(calls).await.into_iter().map(Result::unwrap).collect()
    }

    /// A worker in this process that processes one job after the other, each in [`SERVICE`].
    async fn even_worker(&self) -> SharedServices {
        let flags = self.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let services = SharedServices::open(Settings::load(&Sources { file: None, flags }).unwrap()).unwrap();
        let SharedServices { broker, blobs, keys, metrics, .. } = services.clone();
        let handler = Arc::new(EvenHandler);
        let consumer = Consumer::new(broker, blobs, keys.data, handler, WorkerMetrics::new(&metrics));
        tokio::spawn(consumer.run(1, CancellationToken::new()));
        let consuming = async {
            while services.broker.depth(&Queue::Interactive).await.unwrap_or_default().consumers == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(RECOVERY, consuming).await.expect("the worker does not consume");
        services
    }
}

async fn start(program: &str, settings: &[(&'static str, String)]) -> Process {
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Process::start(program, &settings).await
}

async fn post(address: SocketAddr, picture: &'static [u8]) -> UploadAnswer {
    Upload::begin(address, picture.len(), Framing::Length).await.send(picture).await
}

/// A picture without a face, which a worker processes quickly.
pub(crate) fn gray() -> &'static [u8] {
    let mut file = std::io::Cursor::new(Vec::new());
    let picture = image::GrayImage::from_pixel(160, 160, image::Luma([128]));
    picture.write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
    file.into_inner().leak()
}

/// Finds no face in any picture.
struct EvenHandler;

#[async_trait]
impl Handler for EvenHandler {
    fn slots(&self) -> usize {
        1
    }

    async fn handle(&self, _: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        tokio::time::sleep(SERVICE).await;
        Ok((Ok(JobResult::Coded(CodedPicture { digest: String::new(), face: None })), JobTimes::default()))
    }
}

#[tokio::test]
async fn after_an_overload_sixty_parallel_calls_of_the_only_client_are_queued() {
    let mut site = Site::new(&[]).await;
    // The limit is at most the number of jobs that the workers do in half of the deadline, so it depends on their speed.
    let worker = site.even_worker().await;
    site.overload(320, &[7; 1000]).await;
    site.assert_recovers_to(256.0).await;
    for _ in 0..3 {
        let begun = Instant::now();
        for answer in site.at_once(60, &[7; 1000]).await {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        println!("sixty calls in {:?}", begun.elapsed());
    }
    let capacity = site.gateway.metric("faceline_gateway_capacity_jobs_per_second").await;
    let jobs_per_second = SERVICE.as_secs_f64().recip();
    assert!((jobs_per_second / 4.0..jobs_per_second * 1.2).contains(&capacity), "{capacity} jobs per second");
    worker.broker.close().await;
}

#[tokio::test]
async fn after_an_overload_retry_after_is_no_longer_than_the_work_takes() {
    const CALLERS: usize = 50;
    // The limit on jobs in flight refuses some of the callers. A single client may use 28 of the 32 places.
    let mut site = Site::new(&[("limits.inflight_jobs", "32")]).await;
    let worker = site.even_worker().await;
    site.overload(100, &[7; 1000]).await;
    tokio::time::sleep(IDLE).await;

    let answers = site.at_once(CALLERS, &[7; 1000]).await;
    let waits: Vec<_> = answers.iter().filter_map(|answer| answer.retry_after).collect();
    println!("Retry-After {waits:?}");
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done + waits.len(), CALLERS);
    assert!(done >= 20, "{done} are done at once");
    // All of the work takes a second. Another second spreads out callers that should not retry together.
    let work = (SERVICE * CALLERS as u32).as_secs();
    assert!(waits.iter().all(|seconds| (1..=work + 1).contains(seconds)), "{waits:?}");

    // A caller that obeys `Retry-After` is admitted.
    let address = site.address;
    let retries = waits.iter().map(|seconds| {
        let wait = Duration::from_secs(*seconds);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            post(address, &[7; 1000]).await
        })
    });
    for answer in join_all(retries).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    site.assert_recovers_to(32.0).await;
    worker.broker.close().await;
}
