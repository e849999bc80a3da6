//! Bounds on one client's data in the session store: the refusals that callers get, and the ways to free capacity.

use clap::Parser;
use faceline_gateway::accounts::KeysCommand;
use faceline_shared::settings::Settings;
use uuid::Uuid;

use crate::client::{Answer, delete, get, post_bytes, post_json, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::Workers;

const SELFIE: [(&str, &[u8]); 2] = [("imageType", b"SELFIE"), ("image", b"x")];

/// Asserts that the client has reached a bound, and returns the message and `Retry-After` in seconds.
fn refused(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    (message, answer.header("retry-after").unwrap().parse().unwrap())
}

fn counted(gateway: &Gateway, line: &str) {
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}

async fn create_session(gateway: &Gateway, key: &str, body: &str) -> Answer {
    let headers = [("apikey", "demo"), ("Content-Type", "application/json"), ("Idempotency-Key", key)];
    send(gateway.address, &format!("POST {SESSIONS}"), &headers, body.as_bytes()).await
}

#[tokio::test]
async fn a_client_with_as_many_sessions_as_it_may_have_is_told_when_one_ends() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.client_sessions = 2).await;
    let short = gateway.session(r#"{"ttlSeconds":600}"#).await;
    gateway.session("").await;
    let (message, seconds) = refused(&post_json(gateway.address, SESSIONS, "").await);
    assert_eq!(message, "this client has as many sessions as it may have at the same time");
    assert!((300..=600).contains(&seconds), "{seconds}");
    counted(&gateway, r#"faceline_http_refusals_total{cause="client_quota",operation="create_session"} 1"#);
    counted(&gateway, r#"faceline_client_bound_refusals_total{bound="sessions"} 1"#);
    counted(&gateway, r#"faceline_http_requests_total{operation="create_session",status="429"} 1"#);
    gateway
        .until(async || {
            gateway.metrics.encode().contains(r#"faceline_client_bound_used_ratio{bound="sessions"} 1"#)
        })
        .await;

    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{short}")).await.status, 204);
    gateway.session("").await;
    refused(&post_json(gateway.address, SESSIONS, "").await);
}

#[tokio::test]
async fn a_client_with_as_many_faces_as_it_may_have_adds_none_to_any_session() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.client_faces = 2).await;
    let one = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let other = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let first = gateway.face(one, "x").await;
    gateway.face(other, "x").await;
    let faces = |session: Uuid| format!("{SESSIONS}/{session}/faces");
    let (message, seconds) = refused(&post_bytes(gateway.address, &faces(one), &SELFIE).await);
    assert_eq!(message, "this client has as many faces in its sessions as it may have");
    assert!(seconds > 600, "{seconds}");
    // The picture of the refused face is deleted.
    assert_eq!(gateway.stores.pictures().len(), 2);
    let described = get(gateway.address, &format!("{}/{first}", faces(one))).await;
    let copy = async || post_json(gateway.address, &faces(other), &described.body).await;
    refused(&copy().await);
    assert_eq!(delete(gateway.address, &format!("{}/{first}", faces(one))).await.status, 204);
    assert_eq!(copy().await.status, 201);
    refused(&copy().await);
    counted(&gateway, r#"faceline_client_bound_refusals_total{bound="faces"} 3"#);
}

#[tokio::test]
async fn sessions_count_by_their_size_too() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.client_session_bytes = 5_000).await;
    let large = format!(r#"{{"correlationId":"{}"}}"#, "x".repeat(1000));
    let mut kept = 0;
    let refusal = loop {
        let answer = post_json(gateway.address, SESSIONS, &large).await;
        if answer.status != 201 {
            break answer;
        }
        kept += 1;
    };
    assert_eq!(refused(&refusal).0, "the sessions of this client are as large as they may be together");
    assert!((1..5).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_client_uses_so_many_idempotency_keys() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.client_idempotency_records = 2).await;
    let first = create_session(&gateway, "a", "").await;
    assert_eq!(create_session(&gateway, "b", "").await.status, 201);
    let (message, seconds) = refused(&create_session(&gateway, "c", "").await);
    assert_eq!(message, "this client has used as many idempotency keys as are kept for it");
    assert!(seconds > 23 * 3600 && seconds <= 24 * 3600, "{seconds}");
    // Known keys and requests without a key are still accepted.
    let again = create_session(&gateway, "a", "").await;
    assert_eq!((again.status, again.header("location")), (201, first.header("location")));
    gateway.session("").await;
}

#[tokio::test]
async fn a_refusal_is_kept_for_a_minute_and_no_longer() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.client_idempotency_records = 1;
        config.limits.client_sessions = 1;
    })
    .await;
    let bad = create_session(&gateway, "a", r#"{"ttlSeconds":0}"#).await;
    assert_eq!(bad.status, 400);
    let again = create_session(&gateway, "a", r#"{"ttlSeconds":0}"#).await;
    assert_eq!((again.status, again.json()), (400, bad.json()));
    // The record expires within a minute, and another one can be created.
    let (_, seconds) = refused(&create_session(&gateway, "b", "").await);
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_refusal_that_asks_for_a_retry_keeps_no_record() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.client_sessions = 1).await;
    let session = gateway.session("").await;
    let records = async || {
        let usage = gateway.stores.store.sessions.client_usage("demo").await.unwrap();
        (usage.idempotency_records, usage.idempotency_bytes)
    };
    for key in ["a", "b", "c"] {
        refused(&create_session(&gateway, key, "").await);
        assert_eq!(records().await, (0, 0));
    }
    delete(gateway.address, &format!("{SESSIONS}/{session}")).await;
    // The key was not used, so it is free for another request.
    assert_eq!(create_session(&gateway, "a", r#"{"correlationId":"c"}"#).await.status, 201);
    let (count, bytes) = records().await;
    assert!(count == 1 && bytes > 0, "{bytes}");
}

#[tokio::test]
async fn a_client_may_have_limits_of_its_own() {
    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: KeysCommand,
    }
    let stores = Stores::new();
    let mut settings = Settings::default();
    let file = stores.folder.path().join("accounts.toml");
    settings.accounts.file = Some(file.clone());
    let key = |client: &str| {
        let line = format!("keys add --client {client} --id {client} --permissions sessions:create");
        let mut out = Vec::new();
        Line::try_parse_from(line.split(' '))
            .unwrap()
            .command
            .run(&settings, &mut std::io::empty(), &mut out)
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        out.lines().find_map(|line| line.strip_prefix("apikey")).unwrap().trim().to_owned()
    };
    let keys = [key("bank"), key("shop")];
    let text = std::fs::read_to_string(&file).unwrap();
    let limited = text.replace("name = \"shop\"\n", "name = \"shop\"\nlimits = { sessions = 3 }\n");
    assert_ne!(limited, text);
    std::fs::write(&file, limited).unwrap();
    let gateway = Gateway::over(stores, Workers::able(), |own| {
        own.accounts = settings.accounts.clone();
        own.limits.client_sessions = 1;
    })
    .await;
    for (key, expected) in keys.iter().zip([1, 3]) {
        let headers = [("apikey", key.as_str()), ("Content-Type", "application/json")];
        let mut created = 0;
        while send(gateway.address, &format!("POST {SESSIONS}"), &headers, b"").await.status == 201 {
            created += 1;
        }
        assert_eq!(created, expected);
    }
    // A command keeps the limits.
    let line = "keys add --client shop --id more --permissions sessions:create";
    Line::try_parse_from(line.split(' '))
        .unwrap()
        .command
        .run(&settings, &mut std::io::empty(), &mut Vec::new())
        .unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("limits = { sessions = 3 }"));
}
