//! Web capture: the best image becomes a face of the session, and the age is estimated.

use faceline_gateway::jobs::SubmitError;
use faceline_gateway::replays::{EndedReplay, ReplayOrigin, ReplayRecord, ReplayState, ReplayStatus};
use faceline_shared::job::Task;
use faceline_shared::job::replay::{SpoofReason, Verdict};

use super::fixture::{
    VideoWorker, best_image, ended, gateway, judged, local, put, replay, submit_as, until_counted,
};
use crate::client::get;
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::{Workers, answer};

fn web_capture(age_threshold: Option<u16>) -> impl FnOnce(&mut faceline_gateway::replays::ReplayRecord) {
    move |record| {
        record.origin = ReplayOrigin::WebCapture { age_threshold };
        record.returns_image = false;
    }
}

#[tokio::test]
async fn the_best_image_becomes_a_face_once_and_the_age_is_estimated() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    submit_as(&gateway, &gateway.name(session), web_capture(Some(18))).await;
    let job = worker.next().await;
    let success = judged(Verdict::Success, Some(best_image()));
    job.answer(&success).await;
    let end = ended(&gateway, session).await;
    assert_eq!((end.status, end.age), (ReplayStatus::Success, Some(40.0)));
    let face = end.best_face_id.unwrap();
    let described = get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}")).await;
    assert_eq!(described.status, 200);
    let described = described.json();
    assert_eq!((&described["imageType"], &described["quality"]), (&"SELFIE".into(), &295.into()));
    assert!(described["template"].is_string() && described["signature"].is_string());
    let picture = get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}/image")).await;
    assert_eq!(picture.status, 200);
    assert!(picture.body.ends_with("the best picture"), "{picture:?}");

    job.answer(&success).await;
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="duplicate"} 1"#).await;
    let faces = get(gateway.address, &format!("{SESSIONS}/{session}/faces")).await.json();
    assert_eq!(faces.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_threshold_no_age_is_estimated_and_attackers_become_no_face() {
    let gateway = gateway().await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    submit_as(&gateway, &gateway.name(session), web_capture(None)).await;
    worker.next().await.answer(&judged(Verdict::Success, Some(best_image()))).await;
    assert_eq!(ended(&gateway, session).await.age, None);
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());

    let session = gateway.session("").await;
    submit_as(&gateway, &gateway.name(session), web_capture(Some(18))).await;
    worker.next().await.answer(&judged(Verdict::Spoof(SpoofReason::Still), Some(best_image()))).await;
    let end = ended(&gateway, session).await;
    assert_eq!((end.status, end.best_face_id, end.age), (ReplayStatus::Spoof, None, None));
    let faces = get(gateway.address, &format!("{SESSIONS}/{session}/faces")).await.json();
    assert!(faces.as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_replay_whose_time_ends_meanwhile_leaves_no_face() {
    let gateway = Gateway::with(Workers::held(), local).await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let name = gateway.name(session);
    let job = submit_as(&gateway, &name, web_capture(Some(18))).await;
    worker.next().await.answer(&judged(Verdict::Success, Some(best_image()))).await;
    // The age is being estimated.
    gateway.workers.arrived.notified().await;
    let present = replay(&gateway, session).await;
    let end = EndedReplay { job: Some(job), ..crate::upload::ended(ReplayStatus::Error) };
    let record = ReplayRecord { state: ReplayState::Ended(Box::new(end)), ..present.record };
    put(&gateway, &name, present.revision, &record, |_| ()).await;
    gateway.workers.permits.add_permits(1);
    until_counted(&gateway, r#"faceline_replay_results_dropped_total{reason="duplicate"} 1"#).await;
    let faces = get(gateway.address, &format!("{SESSIONS}/{session}/faces")).await.json();
    assert!(faces.as_array().unwrap().is_empty(), "{faces}");
    assert!(gateway.stores.pictures().iter().all(|key| !key.starts_with("sessions/")));
}

#[tokio::test]
async fn workers_without_an_age_do_not_lose_the_replay() {
    let workers = Workers::new(|job| match job.task {
        Task::EstimateAge(_) => Err(SubmitError::Fault(faceline_gateway::fault::Fault::Internal)),
        _ => Ok(answer(job)),
    });
    let gateway = Gateway::with(workers, local).await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    submit_as(&gateway, &gateway.name(session), web_capture(Some(18))).await;
    worker.next().await.answer(&judged(Verdict::Success, Some(best_image()))).await;
    let end = ended(&gateway, session).await;
    assert_eq!((end.status, end.age), (ReplayStatus::Success, None));
    assert!(end.best_face_id.is_some());
}

#[tokio::test]
async fn a_session_without_room_for_the_face_ends_with_error() {
    let gateway = Gateway::with(Workers::able(), |config| {
        local(config);
        config.sessions.max_faces = 1;
    })
    .await;
    let mut worker = VideoWorker::start(&gateway.stores).await;
    let session = gateway.session("").await;
    gateway.face(session, "x").await;
    submit_as(&gateway, &gateway.name(session), web_capture(None)).await;
    worker.next().await.answer(&judged(Verdict::Success, Some(best_image()))).await;
    let end = ended(&gateway, session).await;
    assert_eq!((end.status, end.best_face_id, end.best_image), (ReplayStatus::Error, None, None));
    assert!(end.diagnostic.unwrap().contains("full"));
}
