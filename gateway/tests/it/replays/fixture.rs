//! Replays with a complete upload, and a worker whose role a test plays.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faceline_gateway::replays::{EndedReplay, ReplayOrigin, ReplayRecord, ReplayState, SubmittedReplay};
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{OpenedReplay, UnsealedChange, UnsealedRow};
use faceline_gateway_store::sessions::{ReplayLookup, ReplayOutcome, SessionName};
use faceline_shared::broker::{Deliveries, Delivery, Message, Published, Queue, Settlement};
use faceline_shared::job::replay::{BestImage, EncryptedMedia, Replay, Replayed, Verdict};
use faceline_shared::job::{JobEnvelope, JobResult, Outcome, ReplyEnvelope, Task};
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::LivenessType;
use faceline_shared::settings::Settings;
use serde::Serialize;
use uuid::Uuid;

use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::{Workers, face};

pub(crate) const SERVER_RANDOM: [u8; 32] = [7; 32];

/// A row of the replays' lane, as the gateway that receives the upload writes it.
#[derive(Clone, Serialize)]
pub(crate) enum ReplayWork {
    Judge { client: String, session: Uuid, job: Uuid, published: u32 },
    TimeOut { client: String, session: Uuid, server_random: [u8; 32] },
}

/// Settings that allow callbacks to this machine.
pub(crate) fn local(config: &mut Settings) {
    config.callbacks.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    config.usage.interval = Duration::from_millis(100);
}

/// A gateway that allows callbacks to this machine.
pub(crate) async fn gateway() -> Gateway {
    Gateway::with(Workers::able(), local).await
}

pub(crate) fn record(state: ReplayState) -> ReplayRecord {
    ReplayRecord {
        id: "replay-id".into(),
        origin: ReplayOrigin::NativeSdk,
        liveness: LivenessType::PassiveVideo,
        level: SecurityLevel::High,
        challenge_count: 0,
        returns_image: true,
        seed: 1,
        server_random: SERVER_RANDOM,
        capture_token: [0; 32],
        answer: "{}".into(),
        state,
    }
}

pub(crate) fn submitted(session: Uuid, job: Uuid) -> SubmittedReplay {
    SubmittedReplay {
        job,
        media_digest: [9; 32],
        task: Replay {
            media: EncryptedMedia {
                object: format!("replays/{session}/{job}"),
                length: 8,
                key: [1; 32],
                nonce_prefix: [2; 7],
                session,
                replay: "replay-id".into(),
                content_type: "video/webm".into(),
            },
            liveness: LivenessType::PassiveVideo,
            level: SecurityLevel::High,
            challenges: Vec::new(),
            events: Vec::new(),
            mirrored: true,
            exports_image: false,
            exports_video: false,
        },
        device_info: Some(serde_json::json!({"platform": "test"})),
        sdk_info: None,
        traceparent: String::new(),
        tracestate: None,
    }
}

/// Replaces the replay of a session, and writes a row with it.
pub(crate) async fn put(
    gateway: &Gateway,
    name: &SessionName,
    expected: u64,
    record: &ReplayRecord,
    change: impl FnOnce(&mut UnsealedChange<'_, ReplayRecord, ReplayWork>),
) {
    let mut made = UnsealedChange {
        expected,
        record,
        in_progress: matches!(record.state, ReplayState::InProgress(_)),
        upload_within: None,
        lease: Duration::ZERO,
        rows: vec![],
    };
    change(&mut made);
    let sessions = gateway.stores.records().sessions;
    let changed = sessions.change_replay(name, &made, &ClientBounds::NONE).await.unwrap();
    assert!(matches!(changed, ReplayOutcome::Changed { .. }), "{changed:?}");
}

/// Accepts an upload of a session without a replay, and returns the job.
pub(crate) async fn submit(gateway: &Gateway, session: Uuid) -> Uuid {
    submit_as(gateway, &gateway.name(session), |_| ()).await
}

pub(crate) async fn submit_as(
    gateway: &Gateway,
    name: &SessionName,
    change: impl FnOnce(&mut ReplayRecord),
) -> Uuid {
    let (job, session) = (Uuid::now_v7(), name.id);
    let media = format!("replays/{session}/{job}");
    gateway.stores.objects().put(&media, Bytes::from_static(b"ciphers!")).await.unwrap();
    let mut record = record(ReplayState::InProgress(Box::new(submitted(session, job))));
    change(&mut record);
    let judge = ReplayWork::Judge { client: name.client.clone(), session, job, published: 0 };
    put(gateway, name, 0, &record, |change| {
        change.rows = vec![(Lane::Replays, UnsealedRow { id: job, payload: judge, due_in: Duration::ZERO })];
    })
    .await;
    job
}

/// The replay of a session.
pub(crate) async fn replay(gateway: &Gateway, session: Uuid) -> OpenedReplay<ReplayRecord> {
    let found = gateway.stores.records().sessions.replay(&gateway.name(session)).await.unwrap();
    let ReplayLookup::Found(replay) = found else { panic!("{found:?}") };
    replay
}

/// Waits until the replay of a session has ended.
pub(crate) async fn ended(gateway: &Gateway, session: Uuid) -> EndedReplay {
    let mut end = None;
    gateway
        .until(async || {
            if let ReplayState::Ended(ended) = replay(gateway, session).await.record.state {
                end = Some(*ended);
            }
            end.is_some()
        })
        .await;
    end.unwrap()
}

/// Whether the store contains encrypted media.
pub(crate) fn has_media(gateway: &Gateway) -> bool {
    gateway.stores.pictures().iter().any(|key| key.starts_with("replays/"))
}

pub(crate) async fn depth(gateway: &Gateway, lane: Lane) -> u64 {
    gateway.stores.store.outbox.depth(lane).await.unwrap()
}

pub(crate) fn counted(gateway: &Gateway, line: &str) {
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}

pub(crate) async fn until_counted(gateway: &Gateway, line: &str) {
    gateway.until(async || gateway.metrics.encode().contains(line)).await;
}

/// The jobs of replays, as a worker gets them.
pub(crate) struct VideoWorker {
    stores: Stores,
    jobs: Box<dyn Deliveries>,
}

/// A job at a worker.
pub(crate) struct VideoJob {
    stores: Stores,
    pub(crate) delivery: Delivery,
    pub(crate) envelope: JobEnvelope,
    pub(crate) task: Replay,
}

impl VideoWorker {
    pub(crate) async fn start(stores: &Stores) -> Self {
        let jobs = stores.broker.consume(&Queue::Replay, 4).await;
        Self { stores: stores.clone(), jobs }
    }

    pub(crate) async fn next(&mut self) -> VideoJob {
        let delivery = tokio::time::timeout(Duration::from_secs(30), self.jobs.next()).await;
        let delivery = delivery.expect("a job comes").expect("the broker is open");
        let envelope = JobEnvelope::decode(&delivery.message.body).unwrap();
        let Task::Replay(task) = envelope.open(&self.stores.ring()).unwrap() else { panic!("another task") };
        VideoJob { stores: self.stores.clone(), delivery, envelope, task: *task }
    }
}

impl VideoJob {
    /// The answer to the job, in a message.
    pub(crate) fn reply(&self, outcome: &Outcome) -> Message {
        let ring = self.stores.ring();
        let reply = ReplyEnvelope::seal(self.envelope.id, outcome, Duration::from_millis(5), &ring).unwrap();
        let reply = reply.with_context(self.envelope.context.clone());
        Message {
            id: self.envelope.id,
            reply_to: None,
            expiration: None,
            earlier_attempts: 0,
            body: reply.encode().unwrap(),
        }
    }

    /// Publishes a message to the queue that the job names.
    pub(crate) async fn publish(&self, message: &Message) {
        let queue = Queue::Reply(self.delivery.message.reply_to.clone().unwrap());
        let published = async {
            while self.stores.broker.publish(&queue, message).await != Published::Accepted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), published).await.unwrap();
    }

    pub(crate) async fn answer(&self, outcome: &Outcome) {
        self.publish(&self.reply(outcome)).await;
        // The delivery may already be settled.
        let _ = self.delivery.settle(Settlement::Ack).await;
    }
}

pub(crate) fn judged(verdict: Verdict, best_image: Option<BestImage>) -> Outcome {
    Ok(JobResult::Replayed(Box::new(Replayed {
        verdict,
        best_image,
        image_storage: None,
        video_storage: None,
    })))
}

pub(crate) fn best_image() -> BestImage {
    BestImage {
        jpeg: Bytes::from_static(b"\xff\xd8\xff the best picture"),
        digest: "8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862".into(),
        face: face(),
        time_ms: 400,
    }
}

/// Two gateways over the same stores.
pub(crate) async fn two_gateways(stores: &Stores) -> [Gateway; 2] {
    let workers = Workers::able();
    [
        Gateway::over(stores.clone(), Arc::clone(&workers), local).await,
        Gateway::over(stores.clone(), workers, local).await,
    ]
}
