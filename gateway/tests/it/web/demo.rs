//! The sessions of the demonstration.

use faceline_gateway::replays::ReplayOrigin;
use serde_json::{Value, json};
use uuid::Uuid;

use super::with_accounts;
use crate::client::{Answer, send};
use crate::gateway::Gateway;
use crate::replay_records::BEST_IMAGE;
use crate::signed::assert_signed;
use crate::workers::Workers;

const SESSIONS: &str = "/web/demo/sessions";
const ASKED: &str = r#"{"type":"LIVENESS_ACTIVE","securityLevel":"MEDIUM","nbChallenge":3}"#;
const JSON: (&str, &str) = ("Content-Type", "application/json");
const HERE: (&str, &str) = ("Host", "localhost:8080");

async fn ask(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Answer {
    send(gateway.address, &format!("POST {SESSIONS}"), headers, body.as_bytes()).await
}

async fn read(gateway: &Gateway, path: &str) -> Answer {
    send(gateway.address, &format!("GET {SESSIONS}/{path}"), &[HERE], b"").await
}

#[tokio::test]
async fn a_page_gets_a_session_its_result_and_its_best_image() {
    let gateway = Gateway::start(Workers::able()).await;
    let created = ask(&gateway, &[HERE, JSON, ("Origin", "http://localhost:8080")], ASKED).await;
    assert_eq!(created.status, 201, "{created:?}");
    let answer = created.json();
    let session: Uuid = answer["sessionId"].as_str().unwrap().parse().unwrap();
    let record = gateway.replay(session).await.record;
    assert_eq!(
        (record.origin, record.challenge_count),
        (ReplayOrigin::WebCapture { age_threshold: None }, 3)
    );
    let (_, parameters) = created.body.split_once("\"parameters\":").unwrap();
    let parameters = parameters.strip_suffix('}').unwrap();
    assert_eq!(parameters, record.answer, "as it was signed");
    assert_signed(&gateway, parameters);

    // The token is that of the session.
    let line = format!("GET {}/{session}/liveness-parameters", crate::gateway::SESSIONS);
    let headers = [("X-Capture-Token", answer["captureToken"].as_str().unwrap())];
    assert_eq!(send(gateway.address, &line, &headers, b"").await.body, parameters);

    assert_eq!(read(&gateway, &format!("{session}/result")).await.json()["status"], "INITIALIZED");
    assert_eq!(read(&gateway, &format!("{session}/best-image")).await.error().0, 404);
    gateway.end_replay(session, |_| ()).await;
    let result = read(&gateway, &format!("{session}/result")).await;
    assert_signed(&gateway, &result.body);
    let result = result.json();
    assert_eq!((&result["status"], result.get("image")), (&json!("SUCCESS"), None::<&Value>));
    let image = read(&gateway, &format!("{session}/best-image")).await;
    assert_eq!((image.status, image.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(image.body.as_bytes(), BEST_IMAGE);
    for path in ["result", "best-image"] {
        assert_eq!(read(&gateway, &format!("{}/{path}", Uuid::new_v4())).await.error().0, 404);
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_named() {
    let gateway = Gateway::start(Workers::able()).await;
    for (body, word) in [
        ("", "JSON"),
        ("[]", "JSON"),
        ("{}", "type"),
        (r#"{"type":"LIVENESS_MLC"}"#, "LIVENESS_MLC"),
        (r#"{"type":"LIVENESS_ACTIVE","nbChallenge":9}"#, "1 to 6"),
    ] {
        let (status, message) = ask(&gateway, &[HERE, JSON], body).await.error();
        assert!(status == 400 && message.contains(word), "{body}: {status} {message}");
    }
    assert_eq!(ask(&gateway, &[HERE, JSON], &" ".repeat(5000)).await.error().0, 413);
    assert_eq!(ask(&gateway, &[HERE, ("Content-Type", "text/plain")], ASKED).await.error().0, 400);
}

#[tokio::test]
async fn pages_of_other_machines_get_nothing_also_where_their_name_leads_here() {
    let gateway = Gateway::start(Workers::able()).await;
    for headers in [
        [HERE, JSON, ("Origin", "https://attacker.example")],
        [HERE, JSON, ("Origin", "null")],
        [("Host", "attacker.example:8080"), JSON, ("Origin", "http://attacker.example:8080")],
        [("Host", "attacker.example:8080"), JSON, ("Accept", "*/*")],
    ] {
        assert_eq!(ask(&gateway, &headers, ASKED).await.error().0, 403, "{headers:?}");
    }
    let line = format!("GET {SESSIONS}/{}/result", Uuid::new_v4());
    assert_eq!(send(gateway.address, &line, &[("Host", "attacker.example")], b"").await.error().0, 403);
}

#[tokio::test]
async fn there_is_none_of_it_outside_of_the_demonstration() {
    let (accounts, _folder) = with_accounts(|config| config.capture.pages = Some(true)).await;
    let off = Gateway::with(Workers::able(), |config| config.capture.demo = Some(false)).await;
    for gateway in [&accounts, &off] {
        assert_eq!(ask(gateway, &[HERE, JSON], ASKED).await.error().0, 404);
        for path in ["result", "best-image"] {
            assert_eq!(read(gateway, &format!("{}/{path}", Uuid::new_v4())).await.error().0, 404);
        }
    }
}
