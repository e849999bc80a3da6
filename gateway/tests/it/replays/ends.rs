//! Replays that time out, and jobs that are published again.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway::replays::{ReplayState, ReplayStatus};
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::UnsealedRow;
use faceline_shared::broker::{self, BrokerSettings, Message, Published, Queue, Settlement};
use faceline_shared::job::JobFailure;
use faceline_shared::job::replay::Verdict;
use uuid::Uuid;

use super::fixture::{
    ReplayWork, SERVER_RANDOM, VideoWorker, best_image, counted, depth, ended, gateway, has_media, judged,
    local, put, record, replay, submit, until_counted,
};
use super::receiver::Receiver;
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

/// Initialises a replay whose upload must begin within `within`.
async fn initialise(gateway: &Gateway, session: Uuid, within: Duration, state: ReplayState, lease: Duration) {
    let payload = ReplayWork::TimeOut { client: "demo".into(), session, server_random: SERVER_RANDOM };
    put(gateway, &gateway.name(session), 0, &record(state), |change| {
        change.upload_within = Some(within);
        change.lease = lease;
        change.rows = vec![(Lane::Replays, UnsealedRow { id: Uuid::new_v4(), payload, due_in: within })];
    })
    .await;
}

#[tokio::test]
async fn a_replay_without_an_upload_ends_with_timeout_and_a_callback() {
    let gateway = gateway().await;
    let receiver = Receiver::able().await;
    let session = gateway.session(&receiver.session(600)).await;
    let within = Duration::from_millis(300);
    initialise(&gateway, session, within, ReplayState::Initialized, Duration::ZERO).await;
    assert_eq!(replay(&gateway, session).await.record.status(), ReplayStatus::Initialized);
    let end = ended(&gateway, session).await;
    assert_eq!((end.status, end.job), (ReplayStatus::Timeout, None));
    assert!(receiver.until(1).await[0].body.contains(&session.to_string()));
    counted(&gateway, r#"faceline_replays_ended_total{reason="no_upload",status="timeout"} 1"#);
    gateway.until(async || depth(&gateway, Lane::Replays).await == 0).await;
}

#[tokio::test]
async fn an_upload_in_progress_is_waited_for_as_long_as_its_lease_lasts() {
    let gateway = gateway().await;
    let session = gateway.session("").await;
    let upload = Uuid::now_v7();
    let media = format!("replays/{session}/{upload}");
    gateway.stores.objects().put(&media, Bytes::from_static(b"half")).await.unwrap();
    let lease = Duration::from_millis(1500);
    let started = std::time::Instant::now();
    initialise(&gateway, session, Duration::from_millis(50), ReplayState::Uploading { upload }, lease).await;
    assert_eq!(ended(&gateway, session).await.status, ReplayStatus::Timeout);
    assert!(started.elapsed() >= lease, "{:?}", started.elapsed());
    // The received media is deleted.
    gateway.until(async || !has_media(&gateway)).await;
}

#[tokio::test]
async fn the_timeout_of_an_earlier_replay_ends_no_later_one() {
    let gateway = gateway().await;
    let session = gateway.session("").await;
    let within = Duration::from_millis(100);
    initialise(&gateway, session, within, ReplayState::Initialized, Duration::ZERO).await;
    let mut later = record(ReplayState::Initialized);
    later.server_random = [8; 32];
    let revision = replay(&gateway, session).await.revision;
    put(&gateway, &gateway.name(session), revision, &later, |change| {
        change.upload_within = Some(Duration::ZERO);
    })
    .await;
    gateway.until(async || depth(&gateway, Lane::Replays).await == 0).await;
    assert_eq!(replay(&gateway, session).await.record.status(), ReplayStatus::Initialized);
}

#[tokio::test]
async fn a_job_without_an_answer_is_published_twice_and_then_its_replay_ends_with_error() {
    let gateway = Gateway::with(Workers::able(), |config| {
        local(config);
        config.replay.deadline = Duration::from_millis(500);
    })
    .await;
    let receiver = Receiver::able().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(&receiver.session(600)).await;
    let job = submit(&gateway, session).await;
    let mut copies = Vec::new();
    for _ in 0..2 {
        let copy = worker.next().await;
        copy.delivery.settle(Settlement::Ack).await.unwrap();
        copies.push(copy);
    }
    assert!(copies.iter().all(|copy| copy.envelope.id == job));
    let end = ended(&gateway, session).await;
    assert_eq!(end.status, ReplayStatus::Error);
    assert_eq!(end.diagnostic.as_deref(), Some("The video was not judged in time"));
    receiver.until(1).await;
    counted(&gateway, r#"faceline_replays_ended_total{reason="not_in_time",status="error"} 1"#);
    gateway.until(async || !has_media(&gateway)).await;
    // A result that arrives now changes nothing.
    copies[0].answer(&judged(Verdict::Success, Some(best_image()))).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="duplicate"} 1"#).await;
    assert_eq!(ended(&gateway, session).await.status, ReplayStatus::Error);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn what_no_worker_has_seen_is_judged_at_the_second_attempt() {
    let gateway = Gateway::with(Workers::able(), |config| {
        local(config);
        config.replay.deadline = Duration::from_millis(500);
    })
    .await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    submit(&gateway, session).await;
    worker.next().await.answer(&Err(JobFailure::Unsupported)).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="left_to_retry"} 1"#).await;
    worker.next().await.answer(&judged(Verdict::Success, Some(best_image()))).await;
    assert_eq!(ended(&gateway, session).await.status, ReplayStatus::Success);
}

#[tokio::test]
async fn a_job_that_an_embedded_broker_has_lost_is_published_again_at_the_start() {
    let stores = Stores::new();
    let first = Gateway::over(stores.clone(), Workers::able(), local).await;
    let mut worker = VideoWorker::start(&stores).await;
    let session = first.session("").await;
    let job = submit(&first, session).await;
    worker.next().await;
    // The process ends with the job at its worker, and the next one has another embedded broker.
    first.shutdown.cancel();
    first.until(async || first.delivery_has_ended()).await;
    let stores = Stores { broker: broker::open(&BrokerSettings::default()).unwrap(), ..stores };
    let second = Gateway::over(stores.clone(), Workers::able(), local).await;
    let again = VideoWorker::start(&stores).await.next().await;
    assert_eq!(again.envelope.id, job);
    again.answer(&judged(Verdict::Success, Some(best_image()))).await;
    assert_eq!(ended(&second, session).await.status, ReplayStatus::Success);
}

#[tokio::test]
async fn a_job_waits_for_a_broker_that_is_full() {
    let settings = BrokerSettings { max_length: 1, ..BrokerSettings::default() };
    let stores = Stores { broker: broker::open(&settings).unwrap(), ..Stores::new() };
    let gateway = Gateway::over(stores.clone(), Workers::able(), local).await;
    let filling = Message {
        id: Uuid::now_v7(),
        reply_to: None,
        expiration: None,
        earlier_attempts: 0,
        body: Bytes::from_static(b"x"),
    };
    assert_eq!(stores.broker.publish(&Queue::Replay, &filling).await, Published::Accepted);
    let session = gateway.session("").await;
    let job = submit(&gateway, session).await;
    until_counted(&gateway, r#"faceline_replay_jobs_published_total{outcome="full"} 1"#).await;
    assert_eq!(depth(&gateway, Lane::Replays).await, 1);
    let mut all = stores.broker.consume(&Queue::Replay, 1).await;
    all.next().await.unwrap().settle(Settlement::Ack).await.unwrap();
    drop(all);
    let mut worker = VideoWorker::start(&stores).await;
    let at_worker = worker.next().await;
    assert_eq!(at_worker.envelope.id, job);
    at_worker.answer(&judged(Verdict::Success, None)).await;
    assert_eq!(ended(&gateway, session).await.status, ReplayStatus::Success);
}

#[tokio::test]
async fn the_media_of_a_session_that_has_ended_are_deleted() {
    let gateway = Gateway::with(Workers::able(), |config| {
        local(config);
        config.replay.deadline = Duration::from_secs(5);
    })
    .await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(r#"{"ttlSeconds":4}"#).await;
    submit(&gateway, session).await;
    worker.next().await.delivery.settle(Settlement::Ack).await.unwrap();
    gateway.until(async || !has_media(&gateway)).await;
    gateway.until(async || depth(&gateway, Lane::Replays).await == 0).await;
}
