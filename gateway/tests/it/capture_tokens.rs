//! Capture tokens: the calls that they authorise, and until when. `matrix` tries each operation with a session's own
//! and with other tokens.

use std::time::Duration;

use faceline_gateway::replays::ReplayStatus;
use uuid::Uuid;

use crate::client::{Answer, delete, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::replay_records::submitted;
use crate::stores::Stores;
use crate::workers::Workers;

const PASSIVE: &str = r#"{"type":"LIVENESS_PASSIVE"}"#;

/// A session with a replay, and the token.
async fn begun(gateway: &Gateway) -> (Uuid, String) {
    let session = gateway.session("").await;
    let token = gateway.init_replay(session, PASSIVE).await.value("X-Capture-Token").unwrap().to_owned();
    (session, token)
}

/// Reads the parameters with these headers.
async fn parameters(gateway: &Gateway, session: Uuid, headers: &[(&str, &str)]) -> Answer {
    send(gateway.address, &format!("GET {SESSIONS}/{session}/liveness-parameters"), headers, b"").await
}

async fn status(gateway: &Gateway, session: Uuid, token: &str) -> Answer {
    let path = format!("{SESSIONS}/{session}/replay-liveness-metadata").replace("/v2/", "/v3/");
    send(gateway.address, &format!("GET {path}"), &[("X-Capture-Token", token)], b"").await
}

#[tokio::test]
async fn a_token_works_at_every_gateway_until_its_session_ends() {
    let stores = Stores::new();
    let one = Gateway::over(stores.clone(), Workers::able(), |_| ()).await;
    let two = Gateway::over(stores, Workers::able(), |_| ()).await;
    let (session, token) = begun(&one).await;
    assert_eq!(parameters(&two, session, &[("X-Capture-Token", &token)]).await.status, 200);
    let record = one.replay(session).await.record;
    one.set_replay(session, submitted(&record, session)).await;
    assert_eq!(status(&two, session, &token).await.json()["status"], "IN_PROGRESS");
    // A device that waits for the end of the replay reads it.
    one.end_replay(session, |ended| ended.status = ReplayStatus::Failed).await;
    assert_eq!(status(&two, session, &token).await.json()["status"], "FAILED");
    assert_eq!(delete(one.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    assert_eq!(status(&two, session, &token).await.error(), (401, "authentication is required".into()));
}

#[tokio::test]
async fn an_api_key_beside_a_token_decides() {
    let gateway = Gateway::start(Workers::able()).await;
    let (session, token) = begun(&gateway).await;
    let with = async |key: &str, token: &str| {
        let headers = [("apikey", key), ("X-Capture-Token", token)];
        parameters(&gateway, session, &headers).await.status
    };
    assert_eq!(with("wrong", &token).await, 401);
    assert_eq!(with("demo", "wrong").await, 200);
    let twice = [("X-Capture-Token", token.as_str()), ("X-Capture-Token", token.as_str())];
    assert_eq!(parameters(&gateway, session, &twice).await.status, 401);
    let bearer = format!("Bearer {token}");
    assert_eq!(parameters(&gateway, session, &[("Authorization", &bearer)]).await.status, 401);
    assert_eq!(parameters(&gateway, session, &[("apikey", &token)]).await.status, 401);
}

#[tokio::test]
async fn wrong_tokens_count_as_failed_logins_and_a_right_one_still_passes() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.failed_logins = 3).await;
    let (session, token) = begun(&gateway).await;
    let (other, _) = begun(&gateway).await;
    let with =
        async |session, token: &str| parameters(&gateway, session, &[("X-Capture-Token", token)]).await;
    // The second token is valid for another session.
    for (session, token) in [(session, "wrong"), (other, token.as_str()), (Uuid::new_v4(), token.as_str())] {
        assert_eq!(with(session, token).await.error().0, 401);
    }
    let (status, message) = with(session, "wrong").await.error();
    assert_eq!((status, message.contains("wrong credentials")), (429, true), "{message}");
    assert_eq!(with(session, &token).await.status, 200);
    // Failed attempts with API keys are counted separately.
    assert_eq!(parameters(&gateway, session, &[("apikey", "wrong")]).await.error().0, 401);
}

#[tokio::test]
async fn a_device_that_polls_leaves_the_rate_of_the_key_alone() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 4;
    })
    .await;
    let (session, token) = begun(&gateway).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(parameters(&gateway, session, &[("X-Capture-Token", &token)]).await.status);
    }
    assert_eq!(statuses[..4], [200; 4]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(parameters(&gateway, session, &[("apikey", "demo")]).await.status, 200);
}

#[tokio::test]
async fn a_token_ends_with_the_key_that_made_it() {
    let stores = Stores::new();
    let file = stores.folder.path().join("accounts.toml");
    let key = |id: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "[[clients.keys]]\nid = '{id}'\nsecret = {{ api_key_sha256 = '{digest}' }}\npermissions = ['sessions:create', 'replays:create', 'replays:read']\n"
        )
    };
    let client = "[[clients]]\nname = 'demo'\n";
    std::fs::write(&file, format!("{client}{}{}", key("demo"), key("other"))).unwrap();
    let gateway =
        Gateway::over(stores, Workers::able(), |config| config.accounts.file = Some(file.clone())).await;
    let (session, token) = begun(&gateway).await;
    let with_token = async || parameters(&gateway, session, &[("X-Capture-Token", &token)]).await.status;
    assert_eq!(with_token().await, 200);
    std::fs::write(&file, format!("{client}{}", key("other"))).unwrap();
    gateway.until(async || with_token().await == 401).await;
    assert_eq!(parameters(&gateway, session, &[("apikey", "other")]).await.status, 200);
}

#[tokio::test]
async fn pages_may_send_a_token() {
    const APP: &str = "https://app.example";
    let gateway = Gateway::with(Workers::able(), |config| config.http.cors_origins = vec![APP.into()]).await;
    let (session, token) = begun(&gateway).await;
    let headers = [
        ("Origin", APP),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "x-capture-token"),
    ];
    let line = format!("OPTIONS {SESSIONS}/{session}/liveness-parameters");
    let allowed = send(gateway.address, &line, &headers, b"").await;
    let names = allowed.header("access-control-allow-headers").unwrap();
    assert!(names.split(',').any(|name| name.trim() == "x-capture-token"), "{names}");
    let headers = [("Origin", APP), ("X-Capture-Token", token.as_str())];
    let read = parameters(&gateway, session, &headers).await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, Some(APP)));
    let exposed = read.header("access-control-expose-headers").unwrap();
    assert!(exposed.split(',').any(|name| name.trim() == "x-capture-token"), "{exposed}");
}

#[tokio::test]
async fn a_device_counts_for_the_client_and_the_key_of_its_replay() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.usage.interval = Duration::from_millis(50)).await;
    let session = gateway.session(r#"{"correlationId":"c-1"}"#).await;
    let token = gateway.init_replay(session, PASSIVE).await.value("X-Capture-Token").unwrap().to_owned();
    let headers = [("X-Capture-Token", token.as_str()), ("X-Request-Id", "device-1")];
    assert_eq!(parameters(&gateway, session, &headers).await.status, 200);
    let record = crate::usage_facts::record_of(&gateway, "device-1").await;
    assert_eq!((&*record.client, &*record.key), ("demo", "demo"));
    assert_eq!((&*record.operation, record.session), ("get_liveness_parameters", Some(session)));
    assert_eq!(record.correlation_id.as_deref(), Some("c-1"));
}
