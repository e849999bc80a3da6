//! The path of a job through a worker, over the embedded broker and blob store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_models::Repository;
use faceline_shared::admin::Readiness;
use faceline_shared::announcement::Announcement;
use faceline_shared::blob::{self, SealedBlobs};
use faceline_shared::broker::{
    self, BrokerSettings, Message, Published, Queue, Replies, ReplyEvent, Settlement, SharedBroker,
};
use faceline_shared::face::{Embedding, ImageType, QUALITY_NOBODY};
use faceline_shared::job::examination::Examination;
use faceline_shared::job::{
    CarriedPicture, CodedPicture, Coding, JobEnvelope, JobFailure, JobId, JobResult, Outcome, Ranking,
    ReplyEnvelope, Routing, Subject, Task,
};
use faceline_shared::seal::KeyRing;
use faceline_shared::settings::{ClientTls, Settings, StoreUrl};
use faceline_shared::shutdown::CancellationToken;
use faceline_shared::telemetry::Metrics;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::engine_tests::{FakeDevice, FakeRunner};
use super::{Consumer, Engine, Handler, JobTimes, Unavailable, WorkerMetrics};
use crate::role::{MODELS_READY, WorkerParts, report_availability};

mod videos;

/// Answers with the picture's bytes, as soon as it gets a permit.
struct Echo {
    /// Each job takes one.
    permits: Semaphore,
    running: AtomicUsize,
    max_running: AtomicUsize,
}

#[async_trait]
impl Handler for Echo {
    fn slots(&self) -> usize {
        2
    }

    async fn handle(&self, task: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_running.fetch_max(running, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
        let Task::Code(picture) = task else { panic!("only pictures are sent") };
        let digest = String::from_utf8(picture.picture.to_vec()).unwrap();
        Ok((Ok(JobResult::Coded(CodedPicture { digest, face: None })), JobTimes::default()))
    }
}

struct Site {
    broker: SharedBroker,
    blobs: SealedBlobs,
    keys: KeyRing,
    metrics: Metrics,
    replies: Box<dyn Replies>,
    reply_to: String,
    echo: Arc<Echo>,
}

impl Site {
    async fn new() -> Self {
        let broker = broker::open(&BrokerSettings::default()).unwrap();
        let keys = KeyRing::generate().unwrap();
        let blobs =
            SealedBlobs::new(blob::open(&StoreUrl::Embedded, &ClientTls::default()).unwrap(), keys.clone());
        let mut replies = broker.replies("g").await;
        let Some(ReplyEvent::Opened { queue }) = replies.next().await else { panic!("no reply queue") };
        let echo = Arc::new(Echo {
            permits: Semaphore::new(0),
            running: AtomicUsize::new(0),
            max_running: AtomicUsize::new(0),
        });
        Self { broker, blobs, keys, metrics: Metrics::new(), replies, reply_to: queue, echo }
    }

    fn start(&self) -> (JoinHandle<()>, CancellationToken) {
        self.start_with(Arc::clone(&self.echo) as Arc<dyn Handler>)
    }

    fn start_with(&self, handler: Arc<dyn Handler>) -> (JoinHandle<()>, CancellationToken) {
        let consumer = Consumer::new(
            self.broker.clone(),
            self.blobs.clone(),
            self.keys.clone(),
            handler,
            WorkerMetrics::new(&self.metrics),
        );
        let shutdown = CancellationToken::new();
        (tokio::spawn(consumer.run(8, shutdown.clone())), shutdown)
    }

    fn message(&self, picture: CarriedPicture, budget: Duration) -> Message {
        self.envelop(&Task::Code(Coding { picture, image_type: ImageType::Selfie, rotate: false }), budget)
    }

    fn envelop(&self, job: &Task<CarriedPicture>, budget: Duration) -> Message {
        self.envelop_with(job, budget, &self.keys)
    }

    fn envelop_with(&self, job: &Task<CarriedPicture>, budget: Duration, keys: &KeyRing) -> Message {
        let id = Uuid::now_v7();
        let routing =
            Routing { id, client: "bank".into(), gateway: "g".into(), budget, traceparent: String::new() };
        let body = JobEnvelope::seal(routing, job, keys).unwrap().encode().unwrap();
        Message { id, reply_to: Some(self.reply_to.clone()), expiration: None, earlier_attempts: 0, body }
    }

    fn inline(&self, text: &'static str) -> Message {
        self.message(CarriedPicture::Inline(Bytes::from_static(text.as_bytes())), Duration::from_secs(30))
    }

    async fn publish(&self, queue: &Queue, message: &Message) {
        assert_eq!(self.broker.publish(queue, message).await, Published::Accepted);
    }

    async fn answer(&mut self) -> (JobId, Outcome) {
        let wait = tokio::time::timeout(Duration::from_secs(20), self.replies.next());
        let Some(ReplyEvent::Reply(message)) = wait.await.expect("there is no answer") else {
            panic!("the reply queue is lost")
        };
        let reply = ReplyEnvelope::decode(&message.body).unwrap();
        (reply.id, reply.open(&self.keys).unwrap())
    }

    /// Sends a job and returns its answer.
    async fn ask(&mut self, job: &Task<CarriedPicture>) -> Outcome {
        let message = self.envelop(job, Duration::from_secs(30));
        self.publish(&Queue::Interactive, &message).await;
        let (id, outcome) = self.answer().await;
        assert_eq!(id, message.id);
        outcome
    }

    async fn ready(&self, queue: &Queue) -> u64 {
        self.broker.depth(queue).await.unwrap().ready
    }

    /// Waits until a condition holds that no message announces.
    async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Publishes a job that has failed this often.
    async fn failed(&self, queue: &Queue, message: &Message, times: u32) {
        self.publish(queue, message).await;
        let mut deliveries = self.broker.consume(queue, 1).await;
        for _ in 0..times {
            let delivery = deliveries.next().await.unwrap();
            delivery.settle(Settlement::Failed).await.unwrap();
        }
    }
}

fn echoed(text: &str) -> Outcome {
    Ok(JobResult::Coded(CodedPicture { digest: text.into(), face: None }))
}

#[tokio::test]
async fn a_job_is_answered_and_then_gone() {
    let mut site = Site::new().await;
    let (consumer, shutdown) = site.start();
    site.echo.permits.add_permits(1);
    let message = site.inline("hello");
    site.publish(&Queue::Interactive, &message).await;
    assert_eq!(site.answer().await, (message.id, echoed("hello")));
    shutdown.cancel();
    consumer.await.unwrap();
    assert_eq!(site.ready(&Queue::Interactive).await, 0);
}

#[tokio::test]
async fn a_picture_is_fetched_from_the_blob_store_and_a_lost_one_is_named() {
    let mut site = Site::new().await;
    let (_consumer, _shutdown) = site.start();
    site.echo.permits.add_permits(1);
    site.blobs.put("k", b"from the store", Duration::from_secs(60)).await.unwrap();
    let there = site.message(CarriedPicture::Blob { key: "k".into() }, Duration::from_secs(30));
    site.publish(&Queue::Interactive, &there).await;
    assert_eq!(site.answer().await, (there.id, echoed("from the store")));

    let lost = site.message(CarriedPicture::Blob { key: "gone".into() }, Duration::from_secs(30));
    site.publish(&Queue::Interactive, &lost).await;
    assert_eq!(site.answer().await, (lost.id, Err(JobFailure::BlobLost)));
}

#[tokio::test]
async fn a_job_that_failed_twice_is_done_alone() {
    let mut site = Site::new().await;
    let suspect = site.inline("suspect");
    site.failed(&Queue::Interactive, &suspect, 2).await;
    let (_consumer, _shutdown) = site.start();
    site.eventually("the suspect runs", async || site.echo.running.load(Ordering::SeqCst) == 1).await;
    for _ in 0..3 {
        let message = site.inline("neighbour");
        site.publish(&Queue::Interactive, &message).await;
    }
    site.eventually("the neighbours are taken", async || site.ready(&Queue::Interactive).await == 0).await;
    assert_eq!(site.echo.max_running.load(Ordering::SeqCst), 1, "others run beside it");
    site.echo.permits.add_permits(1);
    assert_eq!(site.answer().await, (suspect.id, echoed("suspect")));
    site.echo.permits.add_permits(3);
    for _ in 0..3 {
        assert_eq!(site.answer().await.1, echoed("neighbour"));
    }
}

#[tokio::test]
async fn a_job_that_fails_in_quarantine_is_answered_and_dead_lettered() {
    let mut site = Site::new().await;
    let poison = Message { earlier_attempts: 2, ..site.inline("poison") };
    site.failed(&Queue::Quarantine, &poison, 1).await;
    let (_consumer, _shutdown) = site.start();
    assert_eq!(site.answer().await, (poison.id, Err(JobFailure::Poison { attempts: 3 })));
    site.eventually("the dead letter", async || site.ready(&Queue::DeadLetters).await == 1).await;
}

#[tokio::test]
async fn an_innocent_job_that_comes_to_quarantine_with_a_past_is_tried() {
    let mut site = Site::new().await;
    let (_consumer, _shutdown) = site.start();
    site.echo.permits.add_permits(1);
    let message = Message { earlier_attempts: 3, ..site.inline("innocent") };
    site.publish(&Queue::Quarantine, &message).await;
    assert_eq!(site.answer().await, (message.id, echoed("innocent")));
}

#[tokio::test]
async fn a_job_that_is_too_old_is_not_done() {
    let mut site = Site::new().await;
    let (_consumer, _shutdown) = site.start();
    let message = site.inline("late");
    let mut envelope = JobEnvelope::decode(&message.body).unwrap();
    envelope.published_at -= 36_000;
    let message = Message { body: envelope.encode().unwrap(), ..message };
    site.publish(&Queue::Interactive, &message).await;
    let (id, outcome) = site.answer().await;
    assert_eq!(id, message.id);
    assert!(matches!(outcome, Err(JobFailure::Expired { age_ms }) if age_ms >= 36_000), "{outcome:?}");
}

#[tokio::test]
async fn nobody_works_for_a_caller_who_left_or_a_gateway_that_is_gone() {
    let mut site = Site::new().await;
    let (_consumer, _shutdown) = site.start();
    let dropped = |reason: &str| format!("faceline_worker_dropped_total{{reason=\"{reason}\"}} 1");
    let counted = async |site: &Site, line: String| {
        site.eventually(&line, async || site.metrics.encode().contains(&line)).await;
    };

    // Two jobs take both slots, so the third one waits long enough to be cancelled.
    let [first, second, cancelled] = ["one", "two", "three"].map(|text| site.inline(text));
    for message in [&first, &second, &cancelled] {
        site.publish(&Queue::Interactive, message).await;
    }
    site.eventually("both slots are taken", async || site.echo.running.load(Ordering::SeqCst) == 2).await;
    // The worker subscribed earlier, so it has the announcement when this subscriber receives it.
    let mut announcements = site.broker.announcements().await;
    site.broker.announce(Announcement::JobCancelled(cancelled.id).encode()).await;
    announcements.recv().await.unwrap();
    site.echo.permits.add_permits(2);
    for _ in 0..2 {
        assert!(site.answer().await.1.is_ok());
    }
    counted(&site, dropped("cancelled")).await;

    let orphan = Message { reply_to: Some("faceline.reply.nobody.1".into()), ..site.inline("orphan") };
    site.echo.permits.add_permits(1);
    site.publish(&Queue::Interactive, &orphan).await;
    counted(&site, dropped("gateway_gone")).await;
}

#[tokio::test]
async fn what_nobody_can_read_goes_to_the_dead_letters() {
    let site = Site::new().await;
    let (_consumer, _shutdown) = site.start();
    let nonsense = Message { body: Bytes::from_static(b"nonsense"), ..site.inline("x") };
    site.publish(&Queue::Interactive, &nonsense).await;
    site.eventually("the first dead letter", async || site.ready(&Queue::DeadLetters).await == 1).await;
}

/// Jobs that a worker cannot read, and the failures that it answers them with if no other worker takes them.
fn for_others(site: &Site, budget: Duration) -> [(Message, JobFailure); 3] {
    let picture = || CarriedPicture::Inline(Bytes::from_static(b"x"));
    let message = site.message(picture(), budget);
    let mut envelope = JobEnvelope::decode(&message.body).unwrap();
    envelope.version += 1;
    let newer = Message { body: envelope.encode().unwrap(), ..message };

    let message = site.message(picture(), budget);
    let routing = Routing {
        id: message.id,
        client: "bank".into(),
        gateway: "g".into(),
        budget,
        traceparent: String::new(),
    };
    // A task of a kind that a newer build may have: serde writes an enum's variant as a map of one member.
    let dream = std::collections::BTreeMap::from([("Dream", 1u8)]);
    let dream = JobEnvelope::seal_unknown(routing, &dream, &site.keys).unwrap();
    let unknown = Message { body: dream.encode().unwrap(), ..message };

    let stranger = KeyRing::generate().unwrap();
    let coding = Task::Code(Coding { picture: picture(), image_type: ImageType::Selfie, rotate: false });
    let foreign = site.envelop_with(&coding, budget, &stranger);
    [(newer, JobFailure::Unsupported), (unknown, JobFailure::Unsupported), (foreign, JobFailure::OtherKeys)]
}

#[tokio::test]
async fn what_another_worker_may_read_is_left_to_it_and_answered_in_time() {
    let mut site = Site::new().await;
    let (_consumer, _shutdown) = site.start();
    let budget = Duration::from_secs(4);
    let published = std::time::Instant::now();
    let jobs = for_others(&site, budget);
    for (message, _) in &jobs {
        site.publish(&Queue::Interactive, message).await;
    }
    // Meanwhile it does the jobs that it can read.
    site.echo.permits.add_permits(20);
    for _ in 0..20 {
        let message = site.inline("x");
        site.publish(&Queue::Interactive, &message).await;
        assert_eq!(site.answer().await, (message.id, echoed("x")));
    }
    let mut answers = std::collections::HashMap::new();
    for _ in &jobs {
        let (id, outcome) = site.answer().await;
        answers.insert(id, outcome);
    }
    let waited = published.elapsed();
    assert!(waited >= budget / 2 && waited < budget, "{waited:?}");
    for (message, failure) in jobs {
        assert_eq!(answers.remove(&message.id), Some(Err(failure)));
    }
    let text = site.metrics.encode();
    let deferred = text.lines().find_map(|line| line.strip_prefix("faceline_worker_deferred_total "));
    let deferred: f64 = deferred.unwrap().parse().unwrap();
    // Each pauses for 100, 200, 400, 800 ms, and for what is left.
    assert!((9.0..=18.0).contains(&deferred), "{deferred}");
    for queue in [Queue::Interactive, Queue::Quarantine, Queue::DeadLetters] {
        assert_eq!(site.ready(&queue).await, 0, "{queue:?}");
    }
}

#[tokio::test]
async fn what_another_worker_may_read_is_neither_quarantined_nor_condemned() {
    let site = Site::new().await;
    for (queue, times) in [(Queue::Interactive, 3), (Queue::Quarantine, 1)] {
        for (message, _) in for_others(&site, Duration::from_secs(60)) {
            site.failed(&queue, &message, times).await;
        }
    }
    let (consumer, shutdown) = site.start();
    let deferred = "faceline_worker_deferred_total ";
    site.eventually("each was deferred twice", async || {
        let text = site.metrics.encode();
        let count = text.lines().find_map(|line| line.strip_prefix(deferred));
        count.unwrap().parse::<f64>().unwrap() >= 12.0
    })
    .await;
    shutdown.cancel();
    consumer.await.unwrap();
    assert_eq!(site.ready(&Queue::Interactive).await, 3);
    assert_eq!(site.ready(&Queue::Quarantine).await, 3);
    assert_eq!(site.ready(&Queue::DeadLetters).await, 0);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_gives_back_what_is_in_progress() {
    let site = Site::new().await;
    let message = site.inline("slow");
    for _ in 0..3 {
        let consumer = Consumer::new(
            site.broker.clone(),
            site.blobs.clone(),
            site.keys.clone(),
            Arc::clone(&site.echo) as Arc<dyn Handler>,
            WorkerMetrics::new(&Metrics::new()),
        );
        let shutdown = CancellationToken::new();
        let consumer = tokio::spawn(consumer.with_drain(Duration::from_millis(50)).run(8, shutdown.clone()));
        if site.ready(&Queue::Interactive).await == 0 {
            site.publish(&Queue::Interactive, &message).await;
        }
        site.eventually("it runs", async || site.echo.running.load(Ordering::SeqCst) > 0).await;
        shutdown.cancel();
        consumer.await.unwrap();
        site.echo.running.store(0, Ordering::SeqCst);
        assert_eq!(site.ready(&Queue::Interactive).await, 1);
    }
    let mut deliveries = site.broker.consume(&Queue::Interactive, 1).await;
    let delivery = deliveries.next().await.unwrap();
    assert_eq!((delivery.message.id, delivery.total_attempts()), (message.id, 0));
    delivery.settle(Settlement::Ack).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_stops_finishes_what_runs_and_gives_back_what_waits() {
    let mut site = Site::new().await;
    let (consumer, shutdown) = site.start();
    for text in ["one", "two", "three", "four"] {
        let message = site.inline(text);
        site.publish(&Queue::Interactive, &message).await;
    }
    site.eventually("two jobs run", async || site.echo.running.load(Ordering::SeqCst) == 2).await;
    shutdown.cancel();
    site.echo.permits.add_permits(2);
    consumer.await.unwrap();
    for _ in 0..2 {
        assert!(site.answer().await.1.is_ok());
    }
    assert_eq!(site.ready(&Queue::Interactive).await, 2);

    // No attempt was counted.
    let mut deliveries = site.broker.consume(&Queue::Interactive, 1).await;
    assert_eq!(deliveries.next().await.unwrap().total_attempts(), 0);
}

#[tokio::test]
async fn a_worker_whose_device_fails_gives_its_jobs_back_until_the_device_works_again() {
    let mut site = Site::new().await;
    let device = Arc::new(FakeDevice::default());
    let engine = Engine::start(vec![FakeRunner(Arc::clone(&device))]).unwrap();
    let readiness = Readiness::new();
    let models = readiness.condition(MODELS_READY);
    models.set(true);
    let _reporting = tokio::spawn(report_availability(engine.availability(), models));
    let (consumer, shutdown) = site.start_with(Arc::new(engine));

    // Three failures, after which the models are opened again, and one more.
    device.set(true, false);
    for _ in 0..4 {
        let message = site.inline("x");
        site.publish(&Queue::Interactive, &message).await;
        assert_eq!(site.answer().await, (message.id, Err(JobFailure::Internal)));
    }
    assert!(readiness.is_ready());

    // The sixth failure is the last one that is allowed.
    device.set(true, true);
    for _ in 0..4 {
        let message = site.inline("x");
        site.publish(&Queue::Interactive, &message).await;
    }
    assert_eq!(site.answer().await.1, Err(JobFailure::Internal));
    readiness.until(false).await;
    site.eventually("three jobs are back", async || site.ready(&Queue::Interactive).await == 3).await;
    assert_eq!(readiness.missing(), [MODELS_READY]);

    // While the models are opened again and again, no task runs, and no job is taken.
    let (runs, reopenings) = (device.runs(), device.reopenings());
    site.eventually("further attempts", async || device.reopenings() >= reopenings + 2).await;
    assert_eq!((device.runs(), site.ready(&Queue::Interactive).await), (runs, 3));
    assert_eq!(site.broker.depth(&Queue::Interactive).await.unwrap().consumers, 0);

    device.set(false, false);
    for _ in 0..3 {
        assert_eq!(site.answer().await.1, echoed("x"));
    }
    readiness.until(true).await;
    shutdown.cancel();
    consumer.await.unwrap();
}

/// One of the free pictures that come with the models.
fn free_picture(name: &str) -> CarriedPicture {
    let repository =
        Repository::open(&Settings::default().models.dir).expect("run `make models` before the tests");
    let path = repository.picture(name).unwrap_or_else(|| panic!("the manifest has no picture {name}"));
    CarriedPicture::Inline(std::fs::read(path).unwrap().into())
}

fn selfie(name: &str) -> Coding<CarriedPicture> {
    Coding { picture: free_picture(name), image_type: ImageType::Selfie, rotate: false }
}

/// A site whose worker runs the installed models.
async fn real_site() -> Site {
    let site = Site::new().await;
    let mut config = Settings::default();
    config.inference.sessions = 1;
    let engine = tokio::task::spawn_blocking(move || WorkerParts::load(&config)?.start_pictures(&config))
        .await
        .unwrap()
        .unwrap();
    site.start_with(Arc::new(engine));
    site
}

#[tokio::test]
async fn faces_are_ranked_by_how_much_they_look_alike() {
    let mut site = real_site().await;
    let mut faces = Vec::new();
    for name in ["obama.jpg", "biden.jpg", "obama2.jpg"] {
        let Ok(JobResult::Coded(coded)) = site.ask(&Task::Code(selfie(name))).await else {
            panic!("{name} is not coded")
        };
        faces.push(coded.face.unwrap().embedding);
    }
    let reference = faces.remove(0);
    let ranking = Ranking { reference: reference.clone(), candidates: faces.clone() };
    let Ok(JobResult::Ranked(rates)) = site.ask(&Task::Rank(Box::new(ranking))).await else {
        panic!("the faces are not ranked")
    };
    let [biden, obama] = rates[..] else { panic!("{rates:?}") };
    assert!(biden.score() < 3000.0 && obama.score() > 4500.0, "{rates:?}");

    let theirs = Embedding { version: 9, ..reference.clone() };
    let ranking = Ranking { reference, candidates: vec![theirs] };
    let outcome = site.ask(&Task::Rank(Box::new(ranking))).await;
    assert!(matches!(outcome, Err(JobFailure::OtherAlgorithm { .. })), "{outcome:?}");
}

#[tokio::test]
async fn an_age_comes_with_the_digest_and_quality_of_the_coding() {
    let mut site = real_site().await;
    let Ok(JobResult::Coded(coded)) = site.ask(&Task::Code(selfie("biden.jpg"))).await else {
        panic!("the picture is not coded")
    };
    let Ok(JobResult::Aged(aged)) = site.ask(&Task::EstimateAge(selfie("biden.jpg"))).await else {
        panic!("there is no age")
    };
    assert_eq!((aged.digest, aged.quality), (coded.digest, coded.face.unwrap().quality));
    assert!(aged.age.is_some_and(|age| age > 50.0), "{:?}", aged.age);

    let Ok(JobResult::Aged(nobody)) = site.ask(&Task::EstimateAge(selfie("coffee.png"))).await else {
        panic!("a cup is an answer, too")
    };
    assert_eq!((nobody.quality, nobody.age), (QUALITY_NOBODY, None));
    assert_eq!(nobody.digest.len(), 64);
    let picture = CarriedPicture::Inline(Bytes::from_static(b"nothing"));
    let bad = site.ask(&Task::EstimateAge(Coding { picture, ..selfie("biden.jpg") })).await;
    assert!(matches!(bad, Err(JobFailure::BadPicture { subject: Subject::Image, .. })), "{bad:?}");
}

#[tokio::test]
async fn live_pictures_are_compared_with_each_other_and_with_a_photo() {
    let mut site = real_site().await;
    let ask = |live: [&str; 2], photo: &str| {
        let live = live.map(free_picture).into();
        let photo = Some(free_picture(photo));
        Task::Examine(Box::new(Examination { live, photo, liveness: false, challenge: Vec::new() }))
    };
    let Ok(JobResult::Examined(same)) = site.ask(&ask(["obama.jpg", "obama3.jpg"], "obama2.jpg")).await
    else {
        panic!("the pictures are not examined")
    };
    assert_eq!((same.live.len(), same.photo.is_some(), same.same_person), (2, true, Some(true)));
    assert!(same.verification.is_some_and(|far| far.fraction() < 1e-5), "{:?}", same.verification);
    assert!(same.motion.is_none() && same.live.iter().all(|picture| picture.faces[0].liveness.is_none()));

    let Ok(JobResult::Examined(other)) = site.ask(&ask(["obama.jpg", "biden.jpg"], "astronaut.png")).await
    else {
        panic!("the pictures are not examined")
    };
    assert_eq!(other.same_person, Some(false));
    assert!(other.verification.is_some_and(|far| far.fraction() > 1e-3), "{:?}", other.verification);

    let Ok(JobResult::Examined(nobody)) = site.ask(&ask(["obama.jpg", "coffee.png"], "obama2.jpg")).await
    else {
        panic!("the pictures are not examined")
    };
    assert_eq!((nobody.same_person, nobody.verification), (None, None));
    assert!(nobody.live[1].faces.is_empty() && nobody.live[1].quality == 0.0);

    let bad = CarriedPicture::Inline(Bytes::from_static(b"nothing"));
    for (subject, live, photo) in [
        (Subject::Live(1), vec![free_picture("obama.jpg"), bad.clone()], None),
        (Subject::Photo, vec![free_picture("obama.jpg")], Some(bad.clone())),
    ] {
        let asked = Examination { live, photo, liveness: true, challenge: Vec::new() };
        let reason = "this is not a picture".into();
        let outcome = site.ask(&Task::Examine(Box::new(asked))).await;
        assert_eq!(outcome, Err(JobFailure::BadPicture { subject, reason }));
    }
}

#[tokio::test]
async fn a_picture_becomes_a_jpeg_and_a_bad_one_is_named() {
    let mut site = real_site().await;
    let Ok(JobResult::Compressed(jpeg)) = site.ask(&Task::Compress(free_picture("coffee.png"))).await else {
        panic!("the picture is not compressed")
    };
    assert!(jpeg.starts_with(b"\xff\xd8\xff"));
    let CarriedPicture::Inline(png) = free_picture("coffee.png") else { panic!("a picture is here") };
    let size = |bytes: &[u8]| {
        let picture = image::load_from_memory(bytes).unwrap();
        (picture.width(), picture.height())
    };
    assert_eq!(size(&jpeg), size(&png));

    site.blobs.put("k", &png, Duration::from_secs(60)).await.unwrap();
    let stored = site.ask(&Task::Compress(CarriedPicture::Blob { key: "k".into() })).await;
    assert_eq!(stored, Ok(JobResult::Compressed(jpeg)));
    let lost = site.ask(&Task::Compress(CarriedPicture::Blob { key: "gone".into() })).await;
    assert_eq!(lost, Err(JobFailure::BlobLost));
    let bad = site.ask(&Task::Compress(CarriedPicture::Inline(Bytes::from_static(b"nothing")))).await;
    let subject = Subject::Image;
    assert_eq!(bad, Err(JobFailure::BadPicture { subject, reason: "this is not a picture".into() }));
}
