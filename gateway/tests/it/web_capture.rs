//! The calls of back ends of web capture.

use faceline_gateway::replays::{ReplayOrigin, ReplayStatus};
use faceline_gateway::sessions::Session;
use insta::assert_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, get, post_json, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::replay_records::submitted;
use crate::signed::assert_signed;
use crate::workers::Workers;

const INIT: &str = "/video-server/init-liveness-session";

async fn init(gateway: &Gateway, body: &Value) -> (Uuid, Answer) {
    let created = post_json(gateway.address, INIT, &body.to_string()).await;
    assert_eq!((created.status, created.body.as_str()), (201, ""), "{created:?}");
    // Clients split it here.
    let (_, id) = created.header("location").unwrap().split_once("/bio-sessions/").unwrap();
    (id.parse().unwrap(), created)
}

async fn result(gateway: &Gateway, session: Uuid) -> Answer {
    get(gateway.address, &format!("{SESSIONS}/{session}/liveness-challenge-result")).await
}

#[tokio::test]
async fn the_request_of_the_originals_clients_creates_a_session_with_a_challenge() {
    let gateway = Gateway::start(Workers::able()).await;
    let (session, created) = init(
        &gateway,
        &json!({
            "livenessMode": "LIVENESS_ACTIVE", "numberOfChallenge": 3, "securityLevel": "MEDIUM",
            "correlationId": "c-1", "evidenceId": "e-1", "ageThreshold": "18",
            "callbackURL": "https://service.example/callback", "imageStorageEnabled": false
        }),
    )
    .await;
    assert_eq!(created.header("location"), Some(&*format!("/v2/bio-sessions/{session}")));
    let answer = get(gateway.address, &format!("{SESSIONS}/{session}")).await;
    assert_signed(&gateway, &answer.body);
    let answer = answer.json();
    assert_eq!((&answer["correlationId"], &answer["evidenceId"]), (&json!("c-1"), &json!("e-1")));
    assert_eq!(answer["imageStorageEnabled"], true, "whatever the request says");
    let sessions = &gateway.stores.records().sessions;
    let (kept, _) = sessions.session::<Session>(&gateway.name(session)).await.unwrap().unwrap();
    assert_eq!(kept.callback_url.as_deref(), Some("https://service.example/callback"));
    assert!(kept.keeps_pictures);
    let record = gateway.replay(session).await.record;
    assert_eq!(record.origin, ReplayOrigin::WebCapture { age_threshold: Some(18) });
    assert_eq!((record.challenge_count, record.returns_image), (3, false));

    // The token opens the parameters of the challenge.
    let token = created.value("X-Capture-Token").unwrap();
    let line = format!("GET {SESSIONS}/{session}/liveness-parameters");
    let parameters = send(gateway.address, &line, &[("X-Capture-Token", token)], b"").await.json();
    let members = ["type", "securityLevel", "nbChallenge", "seed"].map(|member| &parameters[member]);
    assert_eq!(members, [&json!("LIVENESS_ACTIVE"), &json!("MEDIUM"), &json!(3), &json!(record.seed)]);
}

#[tokio::test]
async fn the_levels_of_older_clients_stand_for_the_nearest() {
    let gateway = Gateway::start(Workers::able()).await;
    for (level, expected) in [
        (None, "HIGH"),
        (Some("VERY_LOW"), "LOW"),
        (Some("LOW"), "LOW"),
        (Some("MEDIUM"), "MEDIUM"),
        (Some("HIGH"), "HIGH"),
        (Some("VERY_HIGH"), "HIGH"),
        (Some("VERY_HIGH2"), "HIGH"),
        (Some("VERY_HIGH8"), "HIGH"),
    ] {
        let body = json!({"livenessMode": "LIVENESS_HIGH", "securityLevel": level, "ageThreshold": 21});
        let (session, _) = init(&gateway, &body).await;
        let parameters =
            get(gateway.address, &format!("{SESSIONS}/{session}/liveness-parameters")).await.json();
        assert_eq!((&parameters["securityLevel"], &parameters["nbChallenge"]), (&json!(expected), &json!(2)));
        let origin = gateway.replay(session).await.record.origin;
        assert_eq!(origin, ReplayOrigin::WebCapture { age_threshold: Some(21) });
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_named() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut said = String::new();
    for body in [
        "",
        "[]",
        "{}",
        r#"{"livenessMode":"LIVENESS_MLC"}"#,
        r#"{"livenessMode":"LIVENESS_MEDIUM"}"#,
        r#"{"livenessMode":"NO_LIVENESS"}"#,
        r#"{"livenessMode":"LIVENESS_PASSIVE","securityLevel":"VERY_HIGH9"}"#,
        r#"{"livenessMode":"LIVENESS_ACTIVE","numberOfChallenge":9}"#,
        r#"{"livenessMode":"LIVENESS_PASSIVE","ageThreshold":"old"}"#,
        r#"{"livenessMode":"LIVENESS_PASSIVE","ageThreshold":151}"#,
        r#"{"livenessMode":"LIVENESS_PASSIVE","callbackURL":"ftp://service.example/"}"#,
    ] {
        let (status, message) = post_json(gateway.address, INIT, body).await.error();
        said += &format!("{status} {message}\n");
    }
    assert_snapshot!(said, @r#"
    400 `body` is not a JSON object: it ends too early at line 1 column 0
    400 `body` is not a JSON object: not of the form at line 1 column 0
    400 `livenessMode` is missing
    400 `livenessMode` LIVENESS_MLC is not supported by this service: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `livenessMode` LIVENESS_MEDIUM is not supported any more: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `livenessMode` NO_LIVENESS is not supported any more: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `securityLevel` "VERY_HIGH9" is not known: allowed values are LOW, MEDIUM, HIGH
    400 `numberOfChallenge` must be 1 to 6
    400 `ageThreshold` must be a whole number
    400 `ageThreshold` must be 0 to 150
    400 `callbackURL` must begin with http:// or https://
    "#);
}

#[tokio::test]
async fn a_request_that_comes_again_creates_one_session_and_gets_the_same_token() {
    let gateway = Gateway::start(Workers::able()).await;
    let headers = [("apikey", "demo"), ("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    let body = br#"{"livenessMode":"LIVENESS_PASSIVE"}"#;
    let line = format!("POST {INIT}");
    let first = send(gateway.address, &line, &headers, body).await;
    let again = send(gateway.address, &line, &headers, body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for header in ["Location", "X-Capture-Token"] {
        assert!(first.value(header).is_some());
        assert_eq!(first.value(header), again.value(header));
    }
}

#[tokio::test]
async fn a_result_has_the_names_that_clients_read() {
    let gateway = Gateway::start(Workers::able()).await;
    let (session, _) =
        init(&gateway, &json!({"livenessMode": "LIVENESS_PASSIVE", "ageThreshold": "18"})).await;
    let seen = async || {
        let answer = result(&gateway, session).await;
        assert_signed(&gateway, &answer.body);
        answer.body.split_once(",\"signature\"").unwrap().0.to_owned() + "}"
    };
    assert_eq!(seen().await, r#"{"livenessStatus":"IN_PROGRESS"}"#);
    let record = gateway.replay(session).await.record;
    gateway.set_replay(session, submitted(&record, session)).await;
    assert_eq!(seen().await, r#"{"livenessStatus":"IN_PROGRESS"}"#);

    let face = Uuid::new_v4();
    gateway.end_replay(session, |ended| (ended.best_face_id, ended.age) = (Some(face), Some(17.96))).await;
    let expected = format!(
        r#"{{"livenessStatus":"SUCCESS","bestImageId":"{face}","age":{{"aboveThreshold":true,"ageEstimated":18,"threshold":18}}}}"#
    );
    assert_eq!(seen().await, expected);

    let mut said = String::new();
    for status in [ReplayStatus::Failed, ReplayStatus::Error, ReplayStatus::Timeout, ReplayStatus::Spoof] {
        gateway
            .end_replay(session, |ended| {
                ended.status = status;
                ended.diagnostic = Some("No face detected".into());
            })
            .await;
        said += &format!("{}\n", seen().await);
    }
    assert_snapshot!(said, @r#"
    {"livenessStatus":"ERROR","age":{"threshold":18},"diagnostic":"No face detected"}
    {"livenessStatus":"ERROR","age":{"threshold":18},"diagnostic":"No face detected"}
    {"livenessStatus":"TIMEOUT","age":{"threshold":18},"diagnostic":"No face detected"}
    {"livenessStatus":"SPOOF","age":{"threshold":18}}
    "#);
}

#[tokio::test]
async fn a_result_without_an_age_threshold_has_no_age() {
    let gateway = Gateway::start(Workers::able()).await;
    let (session, _) = init(&gateway, &json!({"livenessMode": "LIVENESS_PASSIVE"})).await;
    gateway.end_replay(session, |ended| ended.age = Some(30.0)).await;
    assert_eq!(result(&gateway, session).await.json().get("age"), None);
    let plain = gateway.session("").await;
    assert_eq!(result(&gateway, plain).await.error(), (404, "Replay liveness not found".into()));
}

#[tokio::test]
async fn older_clients_get_the_result_of_the_challenge_that_they_asked_for() {
    let gateway = Gateway::start(Workers::able()).await;
    let body = json!({"livenessMode": "LIVENESS_HIGH", "securityLevel": "VERY_HIGH", "numberOfChallenge": 3});
    let (session, _) = init(&gateway, &body).await;
    let ask = async |rest: &str| {
        get(gateway.address, &format!("{SESSIONS}/{session}/liveness-challenge-result/{rest}")).await
    };
    let plain = result(&gateway, session).await.json()["livenessStatus"].clone();
    for right in [
        "LIVENESS_HIGH/VERY_HIGH?numberOfChallenge=3",
        "LIVENESS_ACTIVE/HIGH?numberOfChallenge=3",
        "LIVENESS_HIGH/VERY_HIGH2",
        "LIVENESS_HIGH/VERY_HIGH?numberOfChallenge=",
    ] {
        assert_eq!(ask(right).await.json()["livenessStatus"], plain, "{right}");
    }
    let mut said = String::new();
    for wrong in [
        "LIVENESS_PASSIVE/HIGH",
        "LIVENESS_HIGH/LOW",
        "LIVENESS_HIGH/HIGH?numberOfChallenge=2",
        "LIVENESS_HIGH/HIGH?numberOfChallenge=x",
        "LIVENESS_MEDIUM/HIGH",
        "LIVENESS_HIGH/HIGHEST",
    ] {
        let (status, message) = ask(wrong).await.error();
        said += &format!("{status} {message}\n");
    }
    assert_snapshot!(said, @r#"
    400 the session's challenge is LIVENESS_ACTIVE at HIGH with 3 challenges and not LIVENESS_PASSIVE at HIGH
    400 the session's challenge is LIVENESS_ACTIVE at HIGH with 3 challenges and not LIVENESS_ACTIVE at LOW with 3 challenges
    400 the session's challenge is LIVENESS_ACTIVE at HIGH with 3 challenges and not LIVENESS_ACTIVE at HIGH with 2 challenges
    400 `numberOfChallenge` must be a whole number
    400 `mode` LIVENESS_MEDIUM is not supported any more: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `level` "HIGHEST" is not known: allowed values are LOW, MEDIUM, HIGH
    "#);
}

#[tokio::test]
async fn browsers_read_the_version_without_a_key() {
    let gateway = Gateway::start(Workers::able()).await;
    for path in ["/video-server/v2/capabilities", "/video-server/capabilities"] {
        let answer = send(gateway.address, &format!("GET {path}"), &[], b"").await;
        assert_eq!((answer.status, answer.json()), (200, json!({"version": env!("CARGO_PKG_VERSION")})));
    }
}
