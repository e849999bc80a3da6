//! A rolling upgrade, over RabbitMQ: gateways and workers of different builds side by side.
//!
//! This process acts as a build of another version: as a gateway that publishes the next envelope version, as a worker
//! that reads it, and as a worker of the previous release, which writes envelopes without the newer fields.

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::broker::{Delivery, Message, Published, Queue, Replies, ReplyEvent, Settlement};
use faceline_shared::face::ImageType;
use faceline_shared::job::{
    CarriedPicture, CodedPicture, Coding, JobEnvelope, JobFailure, JobHead, JobResult, Outcome,
    ReplyEnvelope, Routing, Task, VERSION,
};
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::client::{Caller, bytes};
use crate::process::{Process, ServerRun};

const TIMEOUT: Duration = Duration::from_secs(60);
/// Number of deliveries that a worker gave back for other workers.
const DEFERRED: &str = "faceline_worker_deferred_total";

struct Site {
    broker: PooledRabbitMq,
    redis: Redis,
    folder: TempDir,
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
        Self { broker, redis, folder, services, _run: run }
    }

    async fn start(&self, program: &str) -> Process {
        let (broker, redis) = (self.broker.url(), self.redis.url());
        let folder = self.folder.path().to_str().unwrap();
        let settings = [
            ("data_dir", folder),
            ("broker.url", &broker),
            ("store.url", &redis),
            ("inference.sessions", "1"),
        ];
        Process::start(program, &settings).await
    }

    /// Publishes a job of the next envelope version, as a newer gateway does.
    async fn publish_newer(&self, reply_to: &str, budget: Duration) -> Uuid {
        let id = Uuid::now_v7();
        let routing = Routing {
            id,
            client: "bank".into(),
            gateway: "newer".into(),
            budget,
            traceparent: String::new(),
        };
        let picture = CarriedPicture::Inline(Bytes::from_static(b"newer"));
        let task = Task::Code(Coding { picture, image_type: ImageType::Selfie, rotate: false });
        let mut envelope = JobEnvelope::seal(routing, &task, &self.services.keys.data).unwrap();
        envelope.version = VERSION + 1;
        let body = envelope.encode().unwrap();
        let reply_to = Some(reply_to.to_owned());
        let message = Message { id, reply_to, expiration: None, earlier_attempts: 0, body };
        assert_eq!(self.services.broker.publish(&Queue::Interactive, &message).await, Published::Accepted);
        id
    }

    /// Answers a delivery in `version`.
    async fn answer(&self, delivery: &Delivery, version: u16, digest: &str) {
        let head = JobHead::decode(&delivery.message.body).unwrap();
        let mut reply =
            ReplyEnvelope::seal(head.id, &coded(digest), Duration::ZERO, &self.services.keys.data).unwrap();
        reply.version = version;
        let body = reply.encode().unwrap();
        self.reply(delivery, body).await;
    }

    async fn reply(&self, delivery: &Delivery, body: Bytes) {
        let id = delivery.message.id;
        let queue = Queue::Reply(delivery.message.reply_to.clone().unwrap());
        let message = Message { id, reply_to: None, expiration: None, earlier_attempts: 0, body };
        assert_eq!(self.services.broker.publish(&queue, &message).await, Published::Accepted);
        delivery.settle(Settlement::Ack).await.unwrap();
    }

    async fn assert_nothing_is_left(&self) {
        for queue in [Queue::Interactive, Queue::Quarantine, Queue::DeadLetters] {
            assert_eq!(self.services.broker.depth(&queue).await.unwrap().ready, 0, "{queue:?}");
        }
    }
}

fn coded(digest: &str) -> Outcome {
    Ok(JobResult::Coded(CodedPicture { digest: digest.into(), face: None }))
}

async fn reply_queue(replies: &mut Box<dyn Replies>) -> String {
    match timeout(TIMEOUT, replies.next()).await.expect("no reply queue opens") {
        Some(ReplyEvent::Opened { queue }) => queue,
        other => panic!("{other:?}"),
    }
}

async fn next_reply(replies: &mut Box<dyn Replies>) -> Message {
    match timeout(TIMEOUT, replies.next()).await.expect("there is no answer") {
        Some(ReplyEvent::Reply(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_newer_gateway_wait_for_a_newer_worker_beside_an_older_one() {
    const JOBS: usize = 10;
    let site = Site::new().await;
    let (mut gateway, mut older) =
        tokio::join!(site.start("faceline-gateway"), site.start("faceline-worker"));
    let caller = Caller::new(&gateway.url().await);
    let mut replies = site.services.broker.replies("newer").await;
    let reply_to = reply_queue(&mut replies).await;
    let mut sent = Vec::new();
    for _ in 0..JOBS {
        sent.push(site.publish_newer(&reply_to, Duration::from_secs(50)).await);
    }
    older.metric_reaches(DEFERRED, JOBS as f64).await;
    // Meanwhile, the older worker processes the jobs of older gateways.
    let (status, body) = caller.face(bytes("obama2.jpg")).await;
    assert_eq!(status, StatusCode::OK, "{body}");

    // A newer worker starts. It reads the jobs of both versions.
    let worker = async {
        let mut deliveries = site.services.broker.consume(&Queue::Interactive, 8).await;
        let mut taken = 0;
        while taken < JOBS {
            let delivery = timeout(TIMEOUT, deliveries.next()).await.expect("no job comes").unwrap();
            assert_eq!(delivery.total_attempts(), 0, "a job that was left to others counts as failed");
            let head = JobHead::decode(&delivery.message.body).unwrap();
            assert_eq!(head.version, VERSION + 1);
            site.answer(&delivery, head.version, "newer").await;
            taken += 1;
        }
        deliveries.close().await;
    };
    let answers = async {
        let mut answered = Vec::new();
        for _ in 0..JOBS {
            answered.push(next_reply(&mut replies).await.id);
        }
        answered
    };
    let ((), mut answered) = tokio::join!(worker, answers);
    answered.sort();
    assert_eq!(answered, sent, "each is answered once, by the newer worker");
    site.assert_nothing_is_left().await;
    site.services.broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_newer_worker_a_newer_job_is_answered_in_time_and_without_a_spin() {
    let site = Site::new().await;
    let mut older = site.start("faceline-worker").await;
    let mut replies = site.services.broker.replies("newer").await;
    let reply_to = reply_queue(&mut replies).await;
    let budget = Duration::from_secs(8);
    let started = Instant::now();
    let id = site.publish_newer(&reply_to, budget).await;
    let message = next_reply(&mut replies).await;
    let waited = started.elapsed();
    assert!(waited < budget, "{waited:?}");
    let reply = ReplyEnvelope::decode(&message.body).unwrap();
    assert_eq!(
        (reply.id, reply.version),
        (id, VERSION),
        "in the version of the older build, which newer ones read"
    );
    assert_eq!(reply.open(&site.services.keys.data).unwrap(), Err(JobFailure::Unsupported));
    let deferred = older.metric(DEFERRED).await;
    assert!((1.0..=12.0).contains(&deferred), "{deferred} times in {waited:?}");
    site.assert_nothing_is_left().await;
    site.services.broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_reads_what_a_worker_of_the_release_before_writes() {
    let site = Site::new().await;
    let mut gateway = site.start("faceline-gateway").await;
    let caller = Caller::new(&gateway.url().await);
    let worker = async {
        let mut deliveries = site.services.broker.consume(&Queue::Interactive, 1).await;
        let delivery = timeout(TIMEOUT, deliveries.next()).await.expect("no job comes").unwrap();
        let envelope = JobEnvelope::decode(&delivery.message.body).unwrap();
        assert!(envelope.open(&site.services.keys.data).is_ok());
        // The envelope of that release ends before the field `key`.
        let mut reply =
            ReplyEnvelope::seal(envelope.id, &coded("older"), Duration::ZERO, &site.services.keys.data)
                .unwrap();
        reply.key = None;
        let body = reply.encode().unwrap();
        site.reply(&delivery, body).await;
        deliveries.close().await;
    };
    let ((status, body), ()) = tokio::join!(caller.face(bytes("obama2.jpg")), worker);
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["digest"], "older", "{body}");
    site.assert_nothing_is_left().await;
    site.services.broker.close().await;
}
