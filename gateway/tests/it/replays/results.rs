//! Results of jobs: their effect on a replay, and that none is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use faceline_gateway::replays::{ReplayState, ReplayStatus};
use faceline_gateway::usage::UsageRecord;
use faceline_gateway_store::outbox::Lane;
use faceline_shared::broker::Queue;
use faceline_shared::job::JobFailure;
use faceline_shared::job::replay::{FailedReason, ReplayError, SpoofReason, Verdict};
use uuid::Uuid;

use super::fixture::{
    VideoWorker, best_image, counted, depth, ended, gateway, has_media, judged, local, put, record, replay,
    submit, submit_as, submitted, two_gateways, until_counted,
};
use super::receiver::Receiver;
use crate::client::delete;
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::Workers;

#[tokio::test]
async fn a_judged_replay_ends_with_its_image_and_one_callback_and_leaves_nothing_else() {
    let gateway = gateway().await;
    let receiver = Receiver::able().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(&receiver.session(600)).await;
    let job = submit(&gateway, session).await;

    let at_worker = worker.next().await;
    assert_eq!((at_worker.envelope.id, &*at_worker.envelope.client), (job, "demo"));
    assert_eq!(at_worker.task.media.object, format!("replays/{session}/{job}"));
    assert_eq!(at_worker.delivery.message.reply_to.as_deref(), Some("faceline.results"));
    let sealed = at_worker.envelope.context.clone().unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("demo"));
    assert!(receiver.received().is_empty(), "a callback came before the end");
    at_worker.answer(&judged(Verdict::Success, Some(best_image()))).await;

    let end = ended(&gateway, session).await;
    assert_eq!((end.status, end.diagnostic.as_deref(), end.job), (ReplayStatus::Success, None, Some(job)));
    assert_eq!((end.media_digest, end.device_info.is_some()), (Some([9; 32]), true));
    let key = format!("sessions/{session}/replay-{job}");
    assert_eq!(end.best_image.as_deref(), Some(&*key));
    let image = gateway.stores.sealed_objects().get("demo", &key).await.unwrap().unwrap();
    assert_eq!(image, best_image().jpeg);
    assert_eq!(end.best_face.unwrap().quality, Some(295));
    assert_eq!(end.best_face_id, None);

    let callback = receiver.until(1).await.remove(0);
    assert_eq!(callback.line, "POST /done?case=1 HTTP/1.1");
    assert_eq!(callback.body, format!(r#"{{"sessionId":"{session}"}}"#));
    assert_eq!(callback.headers["content-type"], "application/json");
    assert_eq!(callback.headers["host"], receiver.address.to_string());
    // The encrypted video is deleted, and no row remains.
    gateway.until(async || !has_media(&gateway)).await;
    gateway
        .until(async || depth(&gateway, Lane::Replays).await + depth(&gateway, Lane::Callbacks).await == 0)
        .await;
    counted(&gateway, r#"faceline_replays_ended_total{reason="live",status="success"} 1"#);
    counted(&gateway, "faceline_replay_seconds_count 1");
    counted(&gateway, r#"faceline_replay_jobs_published_total{outcome="accepted"} 1"#);
    assert_eq!(receiver.received().len(), 1);
    // The session can be deleted again.
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 204);
}

#[tokio::test]
async fn a_judged_replay_has_a_usage_record() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(r#"{"correlationId":"case 1"}"#).await;
    let job = submit(&gateway, session).await;
    worker.next().await.answer(&judged(Verdict::Spoof(SpoofReason::Loop), None)).await;
    let objects = gateway.stores.sealed_objects();
    let mut judged = Vec::new();
    gateway
        .until(async || {
            judged.clear();
            for key in objects.list("usage").await.unwrap() {
                let bytes = objects.get("usage", &key).await.unwrap().unwrap();
                let records = rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).unwrap();
                judged.extend(records.into_iter().filter(|record| record.job == Some(job)));
            }
            !judged.is_empty()
        })
        .await;
    let [record] = &judged[..] else { panic!("{judged:?}") };
    assert_eq!((&*record.client, &*record.family), ("demo", "biometric_services"));
    assert_eq!((&*record.operation, &*record.outcome), ("judge_liveness_passive_video", "spoof"));
    assert_eq!((record.session, record.correlation_id.as_deref()), (Some(session), Some("case 1")));
}

#[tokio::test]
async fn each_outcome_has_its_status_and_only_the_living_leave_an_image() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let cases = [
        (
            judged(Verdict::Spoof(SpoofReason::Presentation), Some(best_image())),
            ReplayStatus::Spoof,
            "Presentation attack detected",
        ),
        (
            judged(Verdict::Failed(FailedReason::NoFace), Some(best_image())),
            ReplayStatus::Failed,
            "No face detected",
        ),
        (judged(Verdict::Error(ReplayError::TooLong), None), ReplayStatus::Error, "Video too long"),
        (Err(JobFailure::Internal), ReplayStatus::Error, "Internal error"),
        (Err(JobFailure::BadVideo(ReplayError::Malformed)), ReplayStatus::Error, "The video is broken"),
        (Err(JobFailure::Poison { attempts: 2 }), ReplayStatus::Error, "The video cannot be processed"),
    ];
    for (outcome, status, diagnostic) in cases {
        let session = gateway.session("").await;
        submit(&gateway, session).await;
        worker.next().await.answer(&outcome).await;
        let end = ended(&gateway, session).await;
        assert_eq!((end.status, end.diagnostic.as_deref()), (status, Some(diagnostic)));
        assert_eq!((end.best_image, end.best_face.is_some()), (None, false));
    }
    assert!(gateway.stores.pictures().iter().all(|key| !key.starts_with("sessions/")));
}

#[tokio::test]
async fn an_image_is_kept_only_for_those_who_may_retrieve_it() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    submit_as(&gateway, &gateway.name(session), |record| record.returns_image = false).await;
    worker.next().await.answer(&judged(Verdict::Success, Some(best_image()))).await;
    assert_eq!(ended(&gateway, session).await.best_image, None);
    assert!(gateway.stores.pictures().iter().all(|key| !key.starts_with("sessions/")));
}

#[tokio::test]
async fn second_results_and_those_of_other_jobs_change_nothing() {
    let gateway = gateway().await;
    let receiver = Receiver::able().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(&receiver.session(600)).await;
    submit(&gateway, session).await;
    let first = worker.next().await;
    let spoof = judged(Verdict::Spoof(SpoofReason::Cut), None);
    first.answer(&spoof).await;
    ended(&gateway, session).await;
    first.answer(&judged(Verdict::Success, Some(best_image()))).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="duplicate"} 1"#).await;

    // The session has a new replay when a late result of the first one arrives.
    let revision = replay(&gateway, session).await.revision;
    let job = Uuid::now_v7();
    let state = ReplayState::InProgress(Box::new(submitted(session, job)));
    put(&gateway, &gateway.name(session), revision, &record(state), |_| ()).await;
    first.answer(&spoof).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="other_job"} 1"#).await;
    assert_eq!(replay(&gateway, session).await.record.status(), ReplayStatus::InProgress);
    assert_eq!(receiver.until(1).await.len(), 1);
}

#[tokio::test]
async fn a_result_for_a_session_that_has_ended_is_dropped() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(r#"{"ttlSeconds":4}"#).await;
    submit(&gateway, session).await;
    let job = worker.next().await;
    let sessions = gateway.stores.records().sessions;
    let name = gateway.name(session);
    gateway
        .until(async || {
            matches!(
                sessions.replay::<serde_json::Value>(&name).await,
                Ok(faceline_gateway_store::sessions::ReplayLookup::NoSession)
            )
        })
        .await;
    job.answer(&judged(Verdict::Success, Some(best_image()))).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="session_gone"} 1"#).await;
}

#[tokio::test]
async fn a_result_waits_for_an_unreachable_store() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    submit(&gateway, session).await;
    let job = worker.next().await;
    gateway.stores.objects.away.store(true, Ordering::Relaxed);
    job.answer(&judged(Verdict::Success, Some(best_image()))).await;
    // The first attempt fails.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(replay(&gateway, session).await.record.status(), ReplayStatus::InProgress);
    gateway.stores.objects.away.store(false, Ordering::Relaxed);
    assert_eq!(ended(&gateway, session).await.status, ReplayStatus::Success);
}

#[tokio::test]
async fn what_a_gateway_cannot_read_is_left_to_others() {
    let stores = Stores::new();
    let one = Gateway::over(stores.clone(), Workers::able(), local).await;
    let mut worker = VideoWorker::start(&stores).await;
    let session = one.session("").await;
    submit(&one, session).await;
    let job = worker.next().await;
    // A worker of a newer build, whose envelopes this build does not know.
    let mut newer = job.reply(&judged(Verdict::Success, None));
    let version = newer.body.windows(8).position(|bytes| bytes == b"\xa7version").unwrap() + 8;
    let mut body = newer.body.to_vec();
    body[version] += 1;
    newer.body = body.into();
    job.publish(&newer).await;
    // The unreadable result stays in the queue, and the next one is used.
    job.answer(&judged(Verdict::Failed(FailedReason::TooShort), None)).await;
    assert_eq!(ended(&one, session).await.status, ReplayStatus::Failed);
    one.shutdown.cancel();
    one.until(async || one.delivery_has_ended()).await;
    assert_eq!(stores.broker.depth(&Queue::Results).await.unwrap().ready, 1);
}

#[tokio::test]
async fn a_result_that_nobody_can_read_goes_to_the_dead_letters() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    submit(&gateway, session).await;
    let job = worker.next().await;
    let mut broken = job.reply(&judged(Verdict::Success, None));
    broken.body = bytes::Bytes::from_static(b"no envelope");
    job.publish(&broken).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="unreadable"} 1"#).await;
    assert_eq!(gateway.stores.broker.depth(&Queue::DeadLetters).await.unwrap().ready, 1);
}

#[tokio::test]
async fn results_at_two_gateways_end_each_replay_once() {
    let stores = Stores::new();
    let gateways = two_gateways(&stores).await;
    let receiver = Receiver::able().await;
    let mut worker = VideoWorker::start(&stores).await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let session = gateways[0].session(&receiver.session(600)).await;
        submit(&gateways[0], session).await;
        sessions.push(session);
    }
    for _ in 0..sessions.len() {
        let job = worker.next().await;
        // The two results may reach different gateways at the same time.
        let reply = job.reply(&judged(Verdict::Success, Some(best_image())));
        tokio::join!(job.publish(&reply), job.publish(&reply));
        job.delivery.settle(faceline_shared::broker::Settlement::Ack).await.unwrap();
    }
    for session in &sessions {
        assert_eq!(ended(&gateways[1], *session).await.status, ReplayStatus::Success);
    }
    let received = receiver.until(sessions.len()).await;
    let ids: std::collections::BTreeSet<_> =
        received.iter().map(|callback| callback.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), sessions.len());
    for session in &sessions {
        assert!(received.iter().any(|callback| callback.body.contains(&session.to_string())));
    }
}
