//! The end of a session: requests that work on it stop, its pictures are deleted, and the log has an audit record.
//! Also checks that the stores contain no plaintext.

use std::sync::atomic::Ordering;
use std::time::Duration;

use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::outbox::NewRow;
use faceline_gateway_store::sessions::FaceLookup;
use serde_json::Value;
use uuid::Uuid;

use crate::client::{Answer, delete, get, post};
use crate::gateway::{Gateway, SESSIONS};
use crate::log;
use crate::stores::Stores;
use crate::workers::Workers;

const KEEPING: &str = r#"{"imageStorageEnabled":true}"#;

/// A request for a face whose worker does not answer.
async fn waiting(gateway: &Gateway, session: Uuid) -> tokio::task::JoinHandle<Answer> {
    let (address, path) = (gateway.address, format!("{SESSIONS}/{session}/faces"));
    let asked =
        tokio::spawn(async move { post(address, &path, &[("imageType", "SELFIE"), ("image", "x")]).await });
    gateway.workers.arrived.notified().await;
    asked
}

#[tokio::test]
async fn a_job_for_a_session_that_is_deleted_is_given_up_at_every_gateway() {
    let stores = Stores::new();
    let one = Gateway::over(stores.clone(), Workers::held(), |_| ()).await;
    let two = Gateway::over(stores, Workers::held(), |_| ()).await;
    let session = one.session(KEEPING).await;
    let asked = [waiting(&one, session).await, waiting(&two, session).await];
    assert_eq!(delete(one.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    for (gateway, answer) in [&one, &two].into_iter().zip(asked) {
        gateway.workers.given_up.notified().await;
        assert_eq!(answer.await.unwrap().error(), (404, "Session not found".into()));
    }
    assert!(one.stores.pictures().is_empty());
}

#[tokio::test]
async fn a_job_for_a_session_that_ends_is_given_up() {
    let gateway = Gateway::start(Workers::held()).await;
    let session = gateway.session(r#"{"ttlSeconds":1}"#).await;
    let asked = waiting(&gateway, session).await;
    gateway.workers.given_up.notified().await;
    assert_eq!(asked.await.unwrap().error(), (404, "Session not found".into()));
}

#[tokio::test]
async fn a_face_that_comes_too_late_leaves_nothing() {
    // The gateways have different brokers, so the announcement of the end does not reach this one.
    let stores = Stores::new();
    let slow = Gateway::over(stores.clone(), Workers::held(), |_| ()).await;
    let elsewhere = Stores { broker: Stores::new().broker, ..stores };
    let other = Gateway::over(elsewhere, Workers::able(), |_| ()).await;
    let session = slow.session(KEEPING).await;
    let asked = waiting(&slow, session).await;
    assert_eq!(delete(other.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    slow.workers.permits.add_permits(1);
    assert_eq!(asked.await.unwrap().error(), (404, "Session not found".into()));
    assert!(slow.stores.pictures().is_empty());
}

#[tokio::test]
async fn pictures_go_with_a_session_that_ends_by_itself() {
    let gateway = Gateway::start(Workers::able()).await;
    let ends = gateway.session(r#"{"imageStorageEnabled":true,"ttlSeconds":1}"#).await;
    let stays = gateway.session(KEEPING).await;
    gateway.face(ends, "x").await;
    let kept = gateway.face(stays, "y").await;
    gateway.until(async || gateway.stores.pictures().len() == 1).await;
    assert_eq!(gateway.stores.pictures(), [format!("sessions/{stays}/{kept}")]);
    assert!(gateway.metrics.encode().contains(r#"faceline_sessions_ended_total{reason="expired"} 1"#));
}

#[tokio::test]
async fn pictures_go_as_soon_as_their_store_is_back() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(KEEPING).await;
    let other = gateway.session(KEEPING).await;
    gateway.face(session, "x").await;
    let face = gateway.face(other, "y").await;
    gateway.stores.objects.away.store(true, Ordering::Relaxed);
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{other}/faces/{face}")).await.status, 204);
    assert_eq!(get(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 404);
    gateway
        .until(async || {
            gateway
                .metrics
                .encode()
                .contains(r#"faceline_outbox_rows_total{lane="sessions",outcome="failed"} 2"#)
        })
        .await;
    assert_eq!(gateway.stores.pictures().len(), 2);
    gateway.stores.objects.away.store(false, Ordering::Relaxed);
    gateway.until(async || gateway.stores.pictures().is_empty()).await;
}

#[tokio::test]
async fn without_their_store_no_picture_is_promised() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(KEEPING).await;
    let path = format!("{SESSIONS}/{session}/faces");
    gateway.stores.objects.away.store(true, Ordering::Relaxed);
    let refused = post(gateway.address, &path, &[("imageType", "SELFIE"), ("image", "x")]).await;
    assert_eq!(refused.error().0, 503);
    assert_eq!(get(gateway.address, &path).await.body, "[]");
}

#[tokio::test]
async fn the_end_of_a_session_is_in_the_log() {
    let lines = log::lines();
    let gateway = Gateway::start(Workers::able()).await;
    let ends = gateway.session(r#"{"ttlSeconds":1}"#).await;
    let deleted = gateway.session(KEEPING).await;
    gateway.face(deleted, "x").await;
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{deleted}")).await.status, 204);
    let record = |session: Uuid| {
        let of = |line: &Value| line["target"] == "faceline::audit" && line["session"] == session.to_string();
        lines.find(of)
    };
    gateway.until(async || record(ends).is_some() && record(deleted).is_some()).await;
    let (ends, deleted) = (record(ends).unwrap(), record(deleted).unwrap());
    assert_eq!(
        (&ends["message"], &ends["reason"], &ends["client"]),
        (&"session ended".into(), &"expired".into(), &"demo".into())
    );
    assert_eq!((&deleted["reason"], &deleted["key"]), (&"deleted".into(), &"demo".into()));
}

#[tokio::test]
async fn nothing_in_the_stores_can_be_read() {
    let gateway = Gateway::start(Workers::able()).await;
    let session =
        gateway.session(r#"{"imageStorageEnabled":true,"correlationId":"correlation-in-the-clear"}"#).await;
    let parts =
        [("imageType", "SELFIE"), ("friendlyName", "name-in-the-clear"), ("image", "picture-in-the-clear")];
    let added = post(gateway.address, &format!("{SESSIONS}/{session}/faces"), &parts).await;
    assert_eq!(added.status, 201);
    let face = get(gateway.address, &format!("/bioserver-app{}", added.header("location").unwrap())).await;
    let (digest, template) = (face.json()["digest"].clone(), face.json()["template"].clone());

    let mut raw = gateway.stores.raw();
    for bytes in gateway.stores.objects.kept.lock().unwrap().values() {
        raw.extend_from_slice(bytes);
    }
    let contains = |needle: &str| memchr::memmem::find(&raw, needle.as_bytes()).is_some();
    // The client's name is stored as plaintext, so finding it proves that the test reads the right bytes.
    assert!(contains("demo"));
    for secret in [
        "in-the-clear",
        "SELFIE",
        "friendly",
        digest.as_str().unwrap(),
        template.as_str().unwrap(),
        "ClearUp",
        "eyJ",
    ] {
        assert!(!contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_record_in_another_place_does_not_open() {
    let gateway = Gateway::start(Workers::able()).await;
    let (session, other) = (gateway.session(KEEPING).await, gateway.session(KEEPING).await);
    let (one, two) = (gateway.face(session, "x").await, gateway.face(session, "y").await);

    // A picture is copied to another face.
    {
        let mut kept = gateway.stores.objects.kept.lock().unwrap();
        let moved = kept[&format!("sessions/{session}/{one}")].clone();
        kept.insert(format!("sessions/{session}/{two}"), moved);
    }
    let image = |face: Uuid| format!("{SESSIONS}/{session}/faces/{face}/image");
    assert_eq!(get(gateway.address, &image(one)).await.status, 200);
    assert_eq!(get(gateway.address, &image(two)).await.error().0, 500);

    // A face is copied to another session.
    let raw = &gateway.stores.store.sessions;
    let FaceLookup::Found(body) = raw.face(&gateway.name(session), one).await.unwrap() else {
        panic!("no face")
    };
    raw.add_face(&gateway.name(other), one, body, 9, &ClientBounds::NONE).await.unwrap();
    assert_eq!(get(gateway.address, &format!("{SESSIONS}/{other}/faces/{one}")).await.error().0, 500);

    // A session is copied to another name.
    let stored = raw.session(&gateway.name(session)).await.unwrap().unwrap();
    let moved = Uuid::new_v4();
    let end = NewRow { id: moved, body: stored.body.clone(), due_in: Duration::from_mins(1) };
    raw.create(&gateway.name(moved), stored.body, Duration::from_mins(1), end, &ClientBounds::NONE)
        .await
        .unwrap();
    assert_eq!(get(gateway.address, &format!("{SESSIONS}/{moved}")).await.error().0, 500);
}

#[tokio::test]
async fn what_one_gateway_keeps_the_other_knows() {
    let stores = Stores::new();
    let one = Gateway::over(stores.clone(), Workers::able(), |_| ()).await;
    let two = Gateway::over(stores, Workers::able(), |_| ()).await;
    let session = one.session(KEEPING).await;
    let face = two.face(session, "x").await;
    let path = format!("{SESSIONS}/{session}/faces/{face}");
    assert_eq!(get(one.address, &path).await.body, get(two.address, &path).await.body);
    assert_eq!(get(one.address, &format!("{path}/image")).await.body, "x");
    assert_eq!(delete(one.address, &path).await.status, 204);
    assert_eq!(get(two.address, &path).await.status, 404);
    // If two callers delete the same session, one of them gets 204 and the other one 404.
    let path = format!("{SESSIONS}/{session}");
    let both = tokio::join!(delete(one.address, &path), delete(two.address, &path));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404]);
}
