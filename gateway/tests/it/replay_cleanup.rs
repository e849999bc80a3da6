//! The objects and rows of a replay in the stores, and their deletion at the end of its session.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::outbox::Lane;
use faceline_shared::object::ObjectStore as _;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::delete;
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const PASSIVE: &str = r#"{"type":"LIVENESS_PASSIVE"}"#;

/// A row in the lane of replays, as the store keeps it.
#[derive(Debug, Deserialize)]
enum ReplayWork {
    TimeOut { client: String, session: Uuid, server_random: [u8; 32] },
}

/// Stores encrypted media of a session and a best image, as an upload and a result do.
async fn put_objects(gateway: &Gateway, session: Uuid) {
    for key in [format!("replays/{session}/media"), format!("sessions/{session}/replay-x")] {
        gateway.stores.objects.put(&key, Bytes::from_static(b"x")).await.unwrap();
    }
}

#[tokio::test]
async fn a_replay_that_nobody_uploads_for_is_timed_out_by_a_row() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.replay.upload_timeout = Duration::from_secs(77)).await;
    let session = gateway.session("").await;
    for count in 1..=2 {
        gateway.init_replay(session, PASSIVE).await;
        let replay = gateway.replay(session).await;
        assert!((70..=77).contains(&replay.upload_left.as_secs()), "{:?}", replay.upload_left);
        assert_eq!(replay.lease_left, Duration::ZERO);
        let rows = gateway.stores.records().outbox.list::<ReplayWork>(Lane::Replays, 10).await.unwrap();
        assert_eq!(rows.len(), count, "each replay has a row of its own");
        let row = rows.iter().find(|row| {
            let ReplayWork::TimeOut { client, session: of, server_random } = row.payload.as_ref().unwrap();
            client == "demo" && *of == session && *server_random == replay.record.server_random
        });
        assert!((70..=77).contains(&row.unwrap().due_in.as_secs()), "{rows:?}");
    }
}

#[tokio::test]
async fn media_and_best_image_go_with_a_session_that_ends_by_itself() {
    let gateway = Gateway::start(Workers::able()).await;
    let stays = gateway.session("").await;
    let ends = gateway.session(r#"{"ttlSeconds":1}"#).await;
    for session in [stays, ends] {
        gateway.init_replay(session, PASSIVE).await;
        put_objects(&gateway, session).await;
    }
    gateway.until(async || gateway.stores.pictures().len() == 2).await;
    let left = [format!("replays/{stays}/media"), format!("sessions/{stays}/replay-x")];
    assert_eq!(gateway.stores.pictures(), left);
}

#[tokio::test]
async fn media_and_best_image_are_gone_when_a_deletion_is_answered() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    gateway.init_replay(session, PASSIVE).await;
    put_objects(&gateway, session).await;
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    assert!(gateway.stores.pictures().is_empty());
}

#[tokio::test]
async fn media_of_a_deleted_session_is_deleted_once_the_object_store_is_back() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    gateway.init_replay(session, PASSIVE).await;
    put_objects(&gateway, session).await;
    gateway.stores.objects.away.store(true, Ordering::Relaxed);
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    assert_eq!(gateway.stores.pictures().len(), 2);
    gateway.stores.objects.away.store(false, Ordering::Relaxed);
    gateway.until(async || gateway.stores.pictures().is_empty()).await;
}

#[tokio::test]
async fn a_replay_is_unreadable_in_the_store() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    gateway.init_replay(session, r#"{"type":"LIVENESS_PASSIVE","id":"a-very-special-id"}"#).await;
    let raw = gateway.stores.raw();
    for text in ["a-very-special-id", "LIVENESS_PASSIVE", "server_random"] {
        assert!(!raw.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}
