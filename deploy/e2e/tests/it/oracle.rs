//! Tests that the conservation oracle detects faults: over RabbitMQ and Redis with a real gateway, once with a correct
//! worker and once for each of four mutants.
//!
//! The worker is test code that speaks the protocol of jobs. Its answer to a picture is in a comment within the
//! picture. The mutants: the worker acknowledges a job and forgets it; the worker answers two jobs with each other's
//! results; the store forgets its idempotency records; the store forgets a pending callback, and usage records that
//! have not been moved. No product code has a switch for any of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use faceline_loadtest::load::{Driver, MixEntry, Phase, Resources, Scenario, Targets, probe};
use faceline_loadtest::oracle::{
    CallbackReceiver, Ledger, Operation, PictureSize, Reading, SentTo, Verdict, identity_of, reconcile_usage,
    settle,
};
use faceline_shared::broker::{Delivery, Message, Published, Queue, Settlement};
use faceline_shared::digest::sha256_hex;
use faceline_shared::face::{BoundingBox, CodedFace, Embedding, Eyes};
use faceline_shared::job::replay::{FailedReason, Replayed, Verdict as JudgedAs};
use faceline_shared::job::{
    CarriedPicture, CodedPicture, JobEnvelope, JobResult, Outcome, ReplyEnvelope, Task,
};
use faceline_shared::score::Far;
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::testkit::{PooledRabbitMq, Redis};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::client::models_dir;
use crate::process::{ExclusiveRun, Process};
use crate::usage::export;

/// `jobs.deadline` of the gateway. It is also the time after which a forgotten job is detected.
const DEADLINE: Duration = Duration::from_secs(15);
/// Time limit for callbacks and the ends of replays.
const SETTLE_TIME: Duration = Duration::from_secs(20);
/// Time after which a missing item counts as missing for good. The gateway sends a failed callback again after a
/// second.
const MISSED_AFTER: Duration = Duration::from_secs(4);

/// Behaviour of the worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Mutant {
    None = 0,
    /// It acknowledges every second job before the result, and then forgets it.
    AckFirst = 1,
    /// It answers pairs of jobs with each other's results.
    Swapped = 2,
}

/// A worker without models.
struct StandIn {
    mutant: Arc<AtomicU8>,
    services: SharedServices,
    _running: [AbortOnDropHandle<()>; 2],
}

impl StandIn {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let flags = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let services = SharedServices::open(Settings::load(&Sources { file: None, flags }).unwrap()).unwrap();
        let mutant = Arc::new(AtomicU8::new(Mutant::None as u8));
        let mut running = Vec::new();
        for queue in [Queue::Interactive, Queue::Replay] {
            let mut jobs = services.broker.consume(&queue, 16).await;
            let (mutant, services) = (Arc::clone(&mutant), services.clone());
            running.push(AbortOnDropHandle::new(tokio::spawn(async move {
                let mut number = 0;
                while let Some(delivery) = jobs.next().await {
                    number += 1;
                    let now = mutant.load(Ordering::Relaxed);
                    if now == Mutant::AckFirst as u8 && number % 2 == 0 {
                        delivery.settle(Settlement::Ack).await.unwrap();
                    } else if now == Mutant::Swapped as u8 {
                        let other = jobs.next().await.unwrap();
                        let [one, two] = [outcome(&services, &delivery), outcome(&services, &other)];
                        answer(&services, &delivery, &two).await;
                        answer(&services, &other, &one).await;
                    } else {
                        let outcome = outcome(&services, &delivery);
                        answer(&services, &delivery, &outcome).await;
                    }
                }
            })));
        }
        Self { mutant, services, _running: running.try_into().ok().unwrap() }
    }

    fn becomes(&self, mutant: Mutant) {
        self.mutant.store(mutant as u8, Ordering::Relaxed);
    }
}

/// The correct outcome of a job.
fn outcome(services: &SharedServices, delivery: &Delivery) -> Outcome {
    let envelope = JobEnvelope::decode(&delivery.message.body).unwrap();
    match envelope.open(&services.keys.data).unwrap() {
        Task::Code(coding) => {
            let CarriedPicture::Inline(picture) = coding.picture else { panic!("a small picture") };
            Ok(JobResult::Coded(coded(&picture)))
        }
        Task::Rank(ranking) => Ok(JobResult::Ranked(ranking.candidates.iter().map(|_| Far::ONE).collect())),
        // The way in which a replay ends does not matter here.
        Task::Replay(_) => Ok(JobResult::Replayed(Box::new(Replayed {
            verdict: JudgedAs::Failed(FailedReason::NoFace),
            best_image: None,
            image_storage: None,
            video_storage: None,
        }))),
        other => panic!("{other:?}"),
    }
}

fn coded(picture: &Bytes) -> CodedPicture {
    let (_, Reading(eyes)) = identity_of(picture).expect("a picture of the load generator");
    let [x1, y1, x2, y2] = eyes.map(|at| at as f32);
    let face = CodedFace {
        quality: 200,
        eyes: Eyes { x1, y1, x2, y2 },
        bounding_box: BoundingBox { x: x1, y: y1, width: x2 - x1, height: 40.0 },
        face_box: None,
        embedding: Embedding::new("FL1_512", 1, &[0.6, 0.8]),
    };
    CodedPicture { digest: sha256_hex(picture), face: Some(face) }
}

/// Publishes an outcome for a job, waits for the confirm, and acknowledges the job.
async fn answer(services: &SharedServices, delivery: &Delivery, outcome: &Outcome) {
    let envelope = JobEnvelope::decode(&delivery.message.body).unwrap();
    let reply =
        ReplyEnvelope::seal(envelope.id, outcome, Duration::from_millis(1), &services.keys.data).unwrap();
    let body = reply.with_context(envelope.context.clone()).encode().unwrap();
    let message = Message { id: envelope.id, reply_to: None, expiration: None, earlier_attempts: 0, body };
    let queue = Queue::Reply(delivery.message.reply_to.clone().unwrap());
    assert_eq!(services.broker.publish(&queue, &message).await, Published::Accepted);
    delivery.settle(Settlement::Ack).await.unwrap();
}

/// Gateway, servers, worker, and the resources for a load.
struct Site {
    _gateway: Process,
    service: SentTo,
    worker: StandIn,
    receiver: CallbackReceiver,
    redis: Redis,
    folder: TempDir,
    resources: Arc<Resources>,
    _broker: PooledRabbitMq,
    _exclusive: ExclusiveRun,
}

/// A scenario whose requests are sent at once.
fn scenario(operation: Operation, count: u32) -> Scenario {
    let phases = vec![Phase::Burst { count, seconds: 1.0 }];
    let mix = vec![MixEntry { operation, size: PictureSize::Small, weight: 1.0 }];
    Scenario { mix, deadline_seconds: DEADLINE.as_secs(), ..Scenario::faces("oracle", phases) }
}

impl Site {
    async fn start() -> Self {
        let exclusive = ExclusiveRun::begin().await;
        let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
        let folder = TempDir::new().unwrap();
        let (broker_url, redis_url) = (broker.url(), redis.url());
        let deadline = format!("{}s", DEADLINE.as_secs());
        let settings = [
            ("data_dir", folder.path().to_str().unwrap()),
            ("broker.url", broker_url.as_str()),
            ("store.url", redis_url.as_str()),
            ("jobs.deadline", deadline.as_str()),
            ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#),
            // Records stay in the store until a test has examined them.
            ("usage.interval", "2s"),
        ];
        let mut gateway = Process::start("faceline-gateway", &settings).await;
        let worker = StandIn::start(&settings).await;
        let service = SentTo::demo(&gateway.url().await);
        let receiver = CallbackReceiver::start(0).await.unwrap();
        let mut all = scenario(Operation::Faces, 1);
        all.mix.extend(scenario(Operation::Replay, 1).mix);
        let pictures = models_dir().join("pictures");
        let resources = Resources::prepare(&all, &pictures, &service, Some(receiver.url())).await.unwrap();
        let resources = Arc::new(resources);
        Self {
            _gateway: gateway,
            service,
            worker,
            receiver,
            redis,
            folder,
            resources,
            _broker: broker,
            _exclusive: exclusive,
        }
    }

    /// Sends `count` requests of an operation, and waits for all answers.
    async fn load(&self, run: &str, operation: Operation, count: u32) -> Driver {
        let driver = Driver {
            scenario: scenario(operation, count),
            targets: Arc::new(Targets::new(std::slice::from_ref(&self.service.url))),
            resources: Arc::clone(&self.resources),
            ledger: Arc::new(Ledger::new(run, DEADLINE)),
        };
        let measured = driver.run(|_, _| ()).await.unwrap();
        assert_eq!(measured.samples.len(), count as usize);
        driver
    }

    async fn settled(&self, driver: &Driver, time: Duration) -> Verdict {
        settle(&driver.ledger, &self.service.url, Some(&self.receiver), time).await.unwrap();
        driver.ledger.verdict()
    }

    /// Compares usage records, which the gateway moves periodically, until none is missing or `time` has passed.
    async fn with_usage(&self, driver: &Driver, time: Duration) -> Verdict {
        let until = Instant::now() + time;
        loop {
            let records = export(&self.folder, "faceline-gateway", &["--records", "--format", "json"]).await;
            reconcile_usage(&driver.ledger, &records).unwrap();
            let verdict = driver.ledger.verdict();
            if verdict.is_conserved() || Instant::now() >= until {
                return verdict;
            }
        }
    }

    /// Deletes all keys of a pattern from the store. Returns their number.
    async fn forget(&self, pattern: &str) -> usize {
        let script = "local keys = redis.call('KEYS', ARGV[1]) \
                      for _, key in ipairs(keys) do redis.call('DEL', key) end return #keys";
        self.redis.control(&["EVAL", script, "0", pattern]).await.trim().parse().unwrap()
    }

    /// Asserts that the oracle finds no fault in a correct system.
    async fn assert_sees_nothing(&self) {
        for (run, operation, obligations) in
            [("faces", Operation::Faces, 20), ("sessions", Operation::CreateSession, 6 * 4)]
        {
            let count = if operation == Operation::Faces { 20 } else { 6 };
            let driver = self.load(run, operation, count).await;
            let verdict = self.settled(&driver, SETTLE_TIME).await;
            assert!(verdict.is_conserved(), "{verdict}");
            assert_eq!((verdict.obligations, verdict.answered), (obligations, obligations), "{verdict}");
            if operation == Operation::CreateSession {
                assert_eq!((verdict.sessions, verdict.session_faces), (6, 12), "{verdict}");
            }
            let verdict = self.with_usage(&driver, SETTLE_TIME).await;
            assert!(verdict.is_conserved(), "{verdict}");
            assert_eq!(verdict.usage_records, Some(verdict.attempts), "{verdict}");
            probe(&driver, 0).await.unwrap();
        }
        let driver = self.load("replays", Operation::Replay, 3).await;
        let verdict = self.settled(&driver, SETTLE_TIME).await;
        assert!(verdict.is_conserved(), "{verdict}");
        assert_eq!(
            (verdict.replays, verdict.callbacks, verdict.callback_redeliveries),
            (3, 3, 0),
            "{verdict}"
        );
        // The compared records include those of the judgements.
        let verdict = self.with_usage(&driver, SETTLE_TIME).await;
        assert!(verdict.is_conserved(), "{verdict}");
    }

    async fn assert_sees_an_ack_before_the_result(&self) {
        self.worker.becomes(Mutant::AckFirst);
        let driver = self.load("ack-first", Operation::Faces, 10).await;
        self.worker.becomes(Mutant::None);
        let verdict = driver.ledger.verdict();
        println!("an ack before the result:\n{verdict}");
        assert_eq!((verdict.lost, verdict.answered), (5, 5), "{verdict}");
        assert_eq!((verdict.duplicated, verdict.mixed_up), (0, 0), "{verdict}");
    }

    async fn assert_sees_an_answer_to_another(&self) {
        self.worker.becomes(Mutant::Swapped);
        let driver = self.load("swapped", Operation::Faces, 10).await;
        self.worker.becomes(Mutant::None);
        let verdict = driver.ledger.verdict();
        println!("answers to the wrong correlation id:\n{verdict}");
        assert_eq!((verdict.mixed_up, verdict.lost, verdict.duplicated), (10, 0, 0), "{verdict}");
    }

    async fn assert_sees_forgotten_keys(&self) {
        let driver = self.load("forgotten-keys", Operation::CreateSession, 4).await;
        assert!(self.forget("faceline:{store}:once:*").await >= 12);
        let verdict = self.settled(&driver, SETTLE_TIME).await;
        println!("no idempotency:\n{verdict}");
        // Each key creates a second session or face. The second face is also in its session's list.
        assert!(verdict.duplicated >= 12, "{verdict}");
        assert_eq!((verdict.lost, verdict.mixed_up), (0, 0), "{verdict}");
    }

    async fn assert_sees_a_dropped_callback(&self) {
        self.receiver.set_failing(true);
        let before = self.receiver.received().len();
        let driver = self.load("dropped-callback", Operation::Replay, 2).await;
        let sessions = || -> BTreeSet<_> {
            self.receiver.received()[before..].iter().map(|received| received.session_id.clone()).collect()
        };
        let failed = async {
            while sessions().len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SETTLE_TIME, failed).await.expect("no callback is tried");
        assert!(self.forget("faceline:{store}:callbacks:*").await > 0);
        self.receiver.set_failing(false);
        let verdict = self.settled(&driver, MISSED_AFTER).await;
        println!("dropped rows of callbacks:\n{verdict}");
        assert_eq!((verdict.lost, verdict.replays), (2, 2), "{verdict}");
        assert_eq!((verdict.duplicated, verdict.mixed_up), (0, 0), "{verdict}");
    }

    async fn assert_sees_dropped_usage(&self) {
        // The gateway may have moved some or all records just before.
        for attempt in 0..10 {
            let driver = self.load(&format!("dropped-usage-{attempt}"), Operation::Faces, 6).await;
            self.forget("faceline:{store}:usage:*").await;
            let verdict = self.with_usage(&driver, MISSED_AFTER).await;
            println!("dropped rows of usage records:\n{verdict}");
            assert_eq!((verdict.duplicated, verdict.mixed_up), (0, 0), "{verdict}");
            if verdict.lost > 0 {
                return;
            }
        }
        panic!("no dropped record is missed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oracle_sees_each_mutant_and_nothing_else() {
    let site = Site::start().await;
    site.assert_sees_nothing().await;
    site.assert_sees_an_answer_to_another().await;
    site.assert_sees_an_ack_before_the_result().await;
    site.assert_sees_forgotten_keys().await;
    site.assert_sees_a_dropped_callback().await;
    site.assert_sees_dropped_usage().await;
    site.worker.services.broker.close().await;
}
