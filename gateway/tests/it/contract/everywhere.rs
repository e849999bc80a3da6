//! Tests of every operation: permissions, missing resources and outages.

use faceline_gateway_store::StoreError;
use faceline_shared::seal::KeyRingFile;
use uuid::Uuid;

use super::{contract, probes};
use crate::client::get;
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

contract! {
    a_good_request_is_answered_well: [("GetFaceImage", 200), ("GetMatches", 200), ("DeleteBioSession", 204)];
    without_a_key_nothing_is_done: [
        ("GetCapabilities", 401), ("CreateBioSession", 401), ("GetBioSession", 401), ("DeleteBioSession", 401),
        ("CreateFaceFromImage", 401), ("CreateDirectFaceFromImage", 401), ("CreateFaceFromJson", 401), ("GetFace", 401),
        ("GetFaceImage", 401), ("GetFaces", 401), ("DeleteFace", 401), ("DeleteFaces", 401), ("GetMatches", 401),
        ("ImagesMatch", 401), ("Match", 401), ("CreateDirectAgeFromImage", 401),
        ("InitLivenessParameters", 401), ("GetLivenessParameters", 401), ("GetReplayStatusV2", 401), ("GetReplayStatus", 401),
    ];
    a_key_does_no_more_than_it_may: [
        ("GetCapabilities", 403), ("CreateBioSession", 403), ("GetBioSession", 403), ("DeleteBioSession", 403),
        ("CreateFaceFromImage", 403), ("CreateDirectFaceFromImage", 403), ("CreateFaceFromJson", 403), ("GetFace", 403),
        ("GetFaceImage", 403), ("GetFaces", 403), ("DeleteFace", 403), ("DeleteFaces", 403), ("GetMatches", 403),
        ("ImagesMatch", 403), ("Match", 403), ("CreateDirectAgeFromImage", 403),
        ("InitLivenessParameters", 403), ("GetLivenessParameters", 403), ("GetReplayStatusV2", 403), ("GetReplayStatus", 403),
    ];
    what_belongs_to_another_client_is_not_there: [
        ("GetBioSession", 404), ("DeleteBioSession", 404), ("CreateFaceFromImage", 404), ("CreateFaceFromJson", 404),
        ("GetFace", 404), ("GetFaceImage", 404), ("GetFaces", 404), ("DeleteFace", 404), ("DeleteFaces", 404),
        ("GetMatches", 404),
        ("InitLivenessParameters", 404), ("GetLivenessParameters", 404), ("GetReplayStatusV2", 404), ("GetReplayStatus", 404),
    ];
    what_was_never_there_is_not_found: [
        ("GetBioSession", 404), ("DeleteBioSession", 404), ("CreateFaceFromImage", 404), ("CreateFaceFromJson", 404),
        ("GetFace", 404), ("GetFaceImage", 404), ("GetFaces", 404), ("DeleteFace", 404), ("DeleteFaces", 404),
        ("GetMatches", 404),
        ("InitLivenessParameters", 404), ("GetLivenessParameters", 404), ("GetReplayStatusV2", 404), ("GetReplayStatus", 404),
    ];
    a_path_that_is_no_text_is_refused: [
        ("GetBioSession", 400), ("CreateFaceFromImage", 400), ("CreateFaceFromJson", 400), ("GetFace", 400),
        ("GetFaceImage", 400), ("GetFaces", 400), ("DeleteFace", 400), ("DeleteFaces", 400), ("GetMatches", 400),
        ("InitLivenessParameters", 400), ("GetLivenessParameters", 400), ("GetReplayStatusV2", 400), ("GetReplayStatus", 400),
    ];
    a_record_whose_key_was_dropped_is_an_internal_error: [
        ("GetBioSession", 500), ("DeleteBioSession", 500), ("CreateFaceFromImage", 500), ("CreateFaceFromJson", 500),
        ("GetFace", 500), ("GetFaceImage", 500), ("GetFaces", 500), ("DeleteFace", 500), ("DeleteFaces", 500),
        ("GetMatches", 500),
        ("InitLivenessParameters", 500), ("GetLivenessParameters", 500), ("GetReplayStatusV2", 500), ("GetReplayStatus", 500),
    ];
    a_store_that_is_broken_is_an_internal_error: [("CreateBioSession", 500), ("GetBioSession", 500)];
    requests_wait_for_an_unreachable_store: [
        ("CreateBioSession", 503), ("GetBioSession", 503), ("DeleteBioSession", 503), ("CreateFaceFromImage", 503),
        ("CreateFaceFromJson", 503), ("GetFace", 503), ("GetFaceImage", 503), ("GetFaces", 503), ("DeleteFace", 503),
        ("DeleteFaces", 503), ("GetMatches", 503),
        ("InitLivenessParameters", 503), ("GetLivenessParameters", 503), ("GetReplayStatusV2", 503), ("GetReplayStatus", 503),
    ];
}

/// A gateway with keys of two clients: `all` and `nothing` of one, `other` of the other.
async fn with_accounts(stores: Stores) -> Gateway {
    let file = std::env::temp_dir().join(format!("faceline-accounts-{}.toml", Uuid::new_v4()));
    let permissions = [
        "capabilities:read",
        "faces:create",
        "faces:read",
        "faces:delete",
        "match",
        "ages:create",
        "sessions:create",
        "sessions:read",
        "sessions:delete",
        "replays:create",
        "replays:read",
    ];
    let key = |id: &str, permissions: &[&str]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "[[clients.keys]]\nid = '{id}'\nsecret = {{ api_key_sha256 = '{digest}' }}\npermissions = {permissions:?}\n"
        )
    };
    let text = format!(
        "[[clients]]\nname = 'one'\n{}{}[[clients]]\nname = 'two'\n{}",
        key("all", &permissions),
        key("nothing", &[]),
        key("other", &permissions)
    );
    std::fs::write(&file, text).unwrap();
    let gateway = Gateway::over(stores, Workers::able(), |config| {
        config.accounts.file = Some(file.clone());
        // These tests send more wrong keys than the default limit allows.
        config.limits.failed_logins = 1000;
    })
    .await;
    std::fs::remove_file(&file).unwrap();
    gateway
}

/// Creates a session of the key `all` with a face and its picture, and returns them with the JSON of the face.
async fn stock(gateway: &Gateway) -> (Uuid, Uuid, String) {
    let id = |location: &str| location.rsplit_once('/').unwrap().1.parse().unwrap();
    let key = [("apikey", "all"), ("Content-Type", "application/json")];
    let line = "POST /bioserver-app/v2/bio-sessions";
    let created = crate::client::send(gateway.address, line, &key, br#"{"imageStorageEnabled":true}"#).await;
    let session: Uuid = id(created.header("location").unwrap());
    let added = probes::within(session, Uuid::nil(), "").swap_remove(1).send(gateway, Some("all")).await;
    let face = id(added.header("location").unwrap());
    let json = probes::within(session, face, "").swap_remove(4).send(gateway, Some("all")).await.body;
    (session, face, json)
}

async fn a_good_request_is_answered_well() {
    let gateway = with_accounts(Stores::new()).await;
    let (session, face, json) = stock(&gateway).await;
    for probe in probes::direct(&json).into_iter().chain(probes::within(session, face, &json)) {
        let status = probe.send(&gateway, Some("all")).await.status;
        let expected = match probe.operation {
            "CreateFaceFromImage" | "CreateFaceFromJson" => 201,
            operation if operation.starts_with("Delete") => 204,
            _ => 200,
        };
        assert_eq!(status, expected, "{}", probe.operation);
    }
}

async fn without_a_key_nothing_is_done() {
    let gateway = with_accounts(Stores::new()).await;
    let (session, face, json) = stock(&gateway).await;
    for key in [None, Some("wrong"), Some("")] {
        let capabilities = [("apikey", key.unwrap_or_default())];
        let capabilities =
            crate::client::send(gateway.address, "GET /bioserver-app/v2/capabilities", &capabilities, b"")
                .await;
        assert_eq!(capabilities.error(), (401, "authentication is required".into()));
        let all = probes::direct(&json).into_iter().chain(probes::within(session, face, &json));
        for probe in all.chain([probes::create_session()]) {
            let answer = probe.send(&gateway, key).await;
            assert_eq!(answer.error(), (401, "authentication is required".into()), "{}", probe.operation);
        }
    }
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), 1, "only the stock's own");
}

async fn a_key_does_no_more_than_it_may() {
    let gateway = with_accounts(Stores::new()).await;
    let (session, face, json) = stock(&gateway).await;
    let capabilities = [("apikey", "nothing")];
    let capabilities =
        crate::client::send(gateway.address, "GET /bioserver-app/v2/capabilities", &capabilities, b"").await;
    assert_eq!(capabilities.error(), (403, "the permission `capabilities:read` is missing".into()));
    let all = probes::direct(&json).into_iter().chain(probes::within(session, face, &json));
    for probe in all.chain([probes::create_session()]) {
        let permission = match probe.operation {
            "CreateBioSession" => "sessions:create",
            "GetBioSession" => "sessions:read",
            "DeleteBioSession" => "sessions:delete",
            "CreateDirectFaceFromImage" | "CreateFaceFromImage" | "CreateFaceFromJson" => "faces:create",
            "GetFace" | "GetFaces" | "GetFaceImage" => "faces:read",
            "DeleteFace" | "DeleteFaces" => "faces:delete",
            "CreateDirectAgeFromImage" => "ages:create",
            "InitLivenessParameters" => "replays:create",
            "GetLivenessParameters" | "GetReplayStatus" | "GetReplayStatusV2" => "replays:read",
            _ => "match",
        };
        let answer = probe.send(&gateway, Some("nothing")).await;
        let expected = format!("the permission `{permission}` is missing");
        assert_eq!(answer.error(), (403, expected), "{}", probe.operation);
    }
}

async fn what_belongs_to_another_client_is_not_there() {
    let gateway = with_accounts(Stores::new()).await;
    let (session, face, json) = stock(&gateway).await;
    for probe in probes::within(session, face, &json) {
        let answer = probe.send(&gateway, Some("other")).await;
        assert_eq!(answer.error(), (404, "Session not found".into()), "{}", probe.operation);
    }
    assert_eq!(gateway.stores.pictures().len(), 1);
    let own = probes::within(session, face, &json).swap_remove(0).send(&gateway, Some("all")).await;
    assert_eq!(own.status, 200);
}

async fn what_was_never_there_is_not_found() {
    let gateway = Gateway::start(Workers::able()).await;
    let json = face_json(&gateway);
    for (from, to) in [("@", "@"), ("00000000-0000-0000-0000-000000000000", "no-id-at-all")] {
        for probe in probes::within(Uuid::nil(), Uuid::nil(), &json) {
            let probe = probe.with_path(from, to);
            let answer = probe.send(&gateway, Some("demo")).await;
            assert_eq!(answer.error(), (404, "Session not found".into()), "{}", probe.operation);
        }
    }
}

async fn a_path_that_is_no_text_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let json = face_json(&gateway);
    for probe in probes::within(Uuid::nil(), Uuid::nil(), &json) {
        let probe = probe.with_path("00000000-0000-0000-0000-000000000000", "%FF");
        let answer = probe.send(&gateway, Some("demo")).await;
        let expected = (400, "the path is not percent-encoded UTF-8".into());
        assert_eq!(answer.error(), expected, "{}", probe.operation);
    }
}

fn face_json(gateway: &Gateway) -> String {
    let template = gateway.stores.templates().encode(&crate::workers::face().embedding, None).unwrap();
    format!(r#"{{"imageType":"SELFIE","template":"{template}"}}"#)
}

async fn a_record_whose_key_was_dropped_is_an_internal_error() {
    let stores = Stores::new();
    let before = with_accounts(stores.clone()).await;
    let (session, face, json) = stock(&before).await;
    let after = with_accounts(Stores { data_keys: KeyRingFile::generate().unwrap(), ..stores }).await;
    for probe in probes::within(session, face, &json) {
        let answer = probe.send(&after, Some("all")).await;
        assert_eq!(answer.error(), (500, "internal error".into()), "{}", probe.operation);
    }
    // The outage caused no loss.
    let again = probes::within(session, face, &json).swap_remove(4).send(&before, Some("all")).await;
    assert_eq!(again.body, json);
}

async fn a_store_that_is_broken_is_an_internal_error() {
    let stores = Stores::new().broken(|| StoreError::Broken("on purpose".into()));
    let gateway = Gateway::over(stores, Workers::able(), |_| ()).await;
    let created = probes::create_session().send(&gateway, Some("demo")).await;
    assert_eq!(created.error(), (500, "internal error".into()));
    let found = get(gateway.address, &format!("/bioserver-app/v2/bio-sessions/{}", Uuid::nil())).await;
    assert_eq!(found.error(), (500, "internal error".into()));
}

async fn requests_wait_for_an_unreachable_store() {
    let stores = Stores::new().broken(|| StoreError::Unreachable("away".into()));
    let gateway = Gateway::over(stores, Workers::able(), |_| ()).await;
    let json = face_json(&gateway);
    let all = probes::within(Uuid::nil(), Uuid::nil(), &json);
    for probe in all.into_iter().chain([probes::create_session()]) {
        let answer = probe.send(&gateway, Some("demo")).await;
        let expected = "the service is temporarily unavailable, please try again shortly";
        assert_eq!(answer.error(), (503, expected.into()), "{}", probe.operation);
    }
}
