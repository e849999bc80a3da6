//! Jobs about videos: their own lane beside the pictures, and the fields that their answers repeat.

use faceline_shared::broker::Deliveries;
use faceline_shared::job::replay::{EncryptedMedia, Replay, Replayed, Verdict};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::LivenessType;
use tokio::sync::watch;

use super::*;
use crate::jobs::Availability;

/// Judges every video as live, while it is available.
struct Cinema {
    usable: watch::Sender<usize>,
}

impl Cinema {
    fn new(is_available: bool) -> Arc<Self> {
        Arc::new(Self { usable: watch::Sender::new(is_available.into()) })
    }
}

fn live() -> Outcome {
    let verdict = Verdict::Success;
    Ok(JobResult::Replayed(Box::new(Replayed {
        verdict,
        best_image: None,
        image_storage: None,
        video_storage: None,
    })))
}

#[async_trait]
impl Handler for Cinema {
    fn slots(&self) -> usize {
        1
    }

    fn availability(&self) -> Availability {
        Availability::of(self.usable.subscribe())
    }

    async fn handle(&self, task: Task<Bytes>) -> Result<(Outcome, JobTimes), Unavailable> {
        assert!(task.is_about_video(), "{task:?}");
        Ok((live(), JobTimes::default()))
    }
}

fn replay() -> Task<CarriedPicture> {
    Task::Replay(Box::new(Replay {
        media: EncryptedMedia {
            object: "replays/a/b".into(),
            length: 1,
            key: [1; 32],
            nonce_prefix: [2; 7],
            session: Uuid::nil(),
            replay: "r".into(),
            content_type: "video/mp4".into(),
        },
        liveness: LivenessType::PassiveVideo,
        level: SecurityLevel::High,
        challenges: vec![],
        events: vec![],
        mirrored: false,
        exports_image: false,
        exports_video: false,
    }))
}

const CONTEXT: &[u8] = b"only gateways read this";

/// A job whose answer goes to the gateways' queue of results.
fn for_results(site: &Site, budget: Duration) -> Message {
    let message = site.envelop(&replay(), budget);
    let envelope = JobEnvelope::decode(&message.body).unwrap().with_context(CONTEXT.into());
    let reply_to = Some(Queue::Results.name().to_owned());
    Message { body: envelope.encode().unwrap(), reply_to, ..message }
}

async fn result(site: &Site, results: &mut dyn Deliveries) -> (JobId, Option<Vec<u8>>, Outcome) {
    let wait = tokio::time::timeout(Duration::from_secs(20), results.next());
    let delivery = wait.await.expect("there is no result").unwrap();
    let reply = ReplyEnvelope::decode(&delivery.message.body).unwrap();
    delivery.settle(Settlement::Ack).await.unwrap();
    let outcome = reply.open(&site.keys).unwrap();
    (reply.id, reply.context, outcome)
}

fn start(site: &Site, videos: Option<Arc<Cinema>>) -> (JoinHandle<()>, CancellationToken) {
    let consumer = Consumer::new(
        site.broker.clone(),
        site.blobs.clone(),
        site.keys.clone(),
        Arc::clone(&site.echo) as Arc<dyn Handler>,
        WorkerMetrics::new(&Metrics::new()),
    );
    let consumer = match videos {
        Some(videos) => consumer.with_videos(videos),
        None => consumer,
    };
    let shutdown = CancellationToken::new();
    (tokio::spawn(consumer.run(8, shutdown.clone())), shutdown)
}

#[tokio::test]
async fn videos_do_not_wait_for_pictures_and_their_answers_repeat_the_context() {
    let site = Site::new().await;
    let (_consumer, _shutdown) = start(&site, Some(Cinema::new(true)));
    for text in ["one", "two", "three"] {
        site.publish(&Queue::Interactive, &site.inline(text)).await;
    }
    site.eventually("pictures take all their slots", async || site.echo.running.load(Ordering::SeqCst) == 2)
        .await;
    let mut results = site.broker.consume(&Queue::Results, 1).await;
    let message = for_results(&site, Duration::from_secs(30));
    site.publish(&Queue::Replay, &message).await;
    assert_eq!(result(&site, &mut *results).await, (message.id, Some(CONTEXT.into()), live()));
}

#[tokio::test]
async fn a_job_that_is_not_done_repeats_its_context_too() {
    let site = Site::new().await;
    let (_consumer, _shutdown) = start(&site, Some(Cinema::new(true)));
    let mut results = site.broker.consume(&Queue::Results, 1).await;

    let late = for_results(&site, Duration::from_secs(1));
    let mut envelope = JobEnvelope::decode(&late.body).unwrap();
    envelope.published_at -= 60_000;
    let late = Message { body: envelope.encode().unwrap(), ..late };
    site.publish(&Queue::Replay, &late).await;
    let (id, context, outcome) = result(&site, &mut *results).await;
    assert_eq!((id, context), (late.id, Some(CONTEXT.to_vec())));
    assert!(matches!(outcome, Err(JobFailure::Expired { .. })), "{outcome:?}");

    let newer = for_results(&site, Duration::from_secs(1));
    let mut envelope = JobEnvelope::decode(&newer.body).unwrap();
    envelope.version += 1;
    let newer = Message { body: envelope.encode().unwrap(), ..newer };
    site.publish(&Queue::Replay, &newer).await;
    let unsupported = Err(JobFailure::Unsupported);
    assert_eq!(result(&site, &mut *results).await, (newer.id, Some(CONTEXT.into()), unsupported));

    let poison = Message { earlier_attempts: 2, ..for_results(&site, Duration::from_secs(30)) };
    site.failed(&Queue::Quarantine, &poison, 1).await;
    let poisoned = Err(JobFailure::Poison { attempts: 3 });
    assert_eq!(result(&site, &mut *results).await, (poison.id, Some(CONTEXT.into()), poisoned));
}

#[tokio::test]
async fn a_suspect_video_is_done_in_quarantine() {
    let site = Site::new().await;
    let suspect = for_results(&site, Duration::from_secs(30));
    site.failed(&Queue::Replay, &suspect, 2).await;
    let mut results = site.broker.consume(&Queue::Results, 1).await;
    let (_consumer, _shutdown) = start(&site, Some(Cinema::new(true)));
    assert_eq!(result(&site, &mut *results).await, (suspect.id, Some(CONTEXT.into()), live()));
    assert_eq!(site.ready(&Queue::DeadLetters).await, 0);
}

#[tokio::test]
async fn a_suspect_video_is_answered_in_time_where_no_worker_takes_videos() {
    let site = Site::new().await;
    let suspect = for_results(&site, Duration::from_secs(2));
    site.publish(&Queue::Quarantine, &suspect).await;
    let mut results = site.broker.consume(&Queue::Results, 1).await;
    let (_consumer, _shutdown) = start(&site, None);
    let unsupported = Err(JobFailure::Unsupported);
    assert_eq!(result(&site, &mut *results).await, (suspect.id, Some(CONTEXT.into()), unsupported));
}

#[tokio::test]
async fn videos_stay_in_their_queue_until_they_can_be_judged_and_pictures_go_on() {
    let mut site = Site::new().await;
    let cinema = Cinema::new(false);
    let (_consumer, _shutdown) = start(&site, Some(Arc::clone(&cinema)));
    let video = for_results(&site, Duration::from_secs(30));
    site.publish(&Queue::Replay, &video).await;
    site.echo.permits.add_permits(1);
    let picture = site.inline("x");
    site.publish(&Queue::Interactive, &picture).await;
    assert_eq!(site.answer().await, (picture.id, echoed("x")));
    assert_eq!(site.ready(&Queue::Replay).await, 1);
    let mut results = site.broker.consume(&Queue::Results, 1).await;
    cinema.usable.send_replace(1);
    assert_eq!(result(&site, &mut *results).await.0, video.id);
}
