//! The parameters and the status of replays.

use std::collections::HashSet;

use base64_simd::STANDARD;
use faceline_gateway::replays::{ReplayState, ReplayStatus};
use insta::assert_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use super::contract;
use crate::client::{Answer, delete, get};
use crate::gateway::{Gateway, SESSIONS};
use crate::replay_records::{BEST_IMAGE, exported, submitted};
use crate::signed::{assert_signed, assert_signed_detached};
use crate::workers::Workers;

contract! {
    the_samples_of_parameters_are_answered_as_printed: [
        ("InitLivenessParameters", 200,
            ["type", "securityLevel", "nbChallenge", "imageRetrievalDisabled", "id", "seed", "certificates", "serverRandom", "signature"]),
    ];
    the_curl_line_of_the_text_begins_a_replay: [("InitLivenessParameters", 200, ["type", "securityLevel", "id"])];
    parameters_have_their_defaults: [
        ("InitLivenessParameters", 200, ["securityLevel", "nbChallenge", "imageRetrievalDisabled", "id"]),
    ];
    every_replay_is_drawn_anew: [("InitLivenessParameters", 200, ["seed", "serverRandom", "id"])];
    parameters_that_are_not_of_the_form_are_refused: [
        ("InitLivenessParameters", 400, ["type", "securityLevel", "nbChallenge", "imageRetrievalDisabled", "id"]),
    ];
    parameters_are_read_again_to_the_byte: [("GetLivenessParameters", 200), ("GetLivenessParameters", 404)];
    a_new_replay_replaces_any_but_one_that_is_judged: [
        ("InitLivenessParameters", 200), ("InitLivenessParameters", 409), ("GetLivenessParameters", 200),
    ];
    the_samples_of_a_status_are_answered_as_printed: [
        ("GetReplayStatus", 200, ["id", "status", "image", "landmarks", "signature"]),
    ];
    a_status_describes_device_and_exports: [
        ("GetReplayStatus", 200, ["deviceInfo", "sdkInfo", "imageStorage", "videoStorage"]),
    ];
    an_image_is_returned_only_where_the_caller_asked_for_it: [("GetReplayStatus", 200, ["image", "landmarks"])];
    every_status_is_answered: [("GetReplayStatus", 200, ["status"])];
    the_deprecated_status_is_the_same: [("GetReplayStatusV2", 200, ["Deprecation"])];
    there_is_no_status_before_a_replay: [("GetReplayStatus", 404), ("GetReplayStatusV2", 404)];
    an_image_that_was_lost_is_an_internal_error: [("GetReplayStatus", 500, ["image"])];
}

/// The path of a resource `what` of a session.
fn path(session: Uuid, what: &str) -> String {
    format!("{SESSIONS}/{session}/{what}")
}

async fn status(gateway: &Gateway, session: Uuid) -> Answer {
    get(gateway.address, &path(session, "replay-liveness-metadata").replace("/v2/", "/v3/")).await
}

/// The answer with fixed texts in place of the random values.
fn scrubbed(answer: &Answer) -> String {
    let mut text = answer.body.clone();
    let json = answer.json();
    assert!(json["seed"].as_u64().unwrap() < 1 << 31, "{text}");
    text = text.replace(&format!("\"seed\":{}", json["seed"]), "\"seed\":1150867590");
    for (member, scrubbed) in [("serverRandom", "avf0FHL…"), ("signature", "eyJ…")] {
        text = text.replace(json[member].as_str().unwrap(), scrubbed);
    }
    let certificates = serde_json::to_string(&json["certificates"]).unwrap();
    text.replace(&certificates, r#"["MII…"]"#)
}

async fn the_samples_of_parameters_are_answered_as_printed() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let passive = gateway
        .init_replay(
            session,
            r#"{"type": "LIVENESS_PASSIVE_VIDEO","securityLevel": "HIGH","id": "replay-id"}"#,
        )
        .await;
    assert_eq!(passive.status, 200, "{passive:?}");
    assert_eq!(passive.header("location"), None);
    assert_snapshot!(scrubbed(&passive), @r#"{"id":"replay-id","type":"LIVENESS_PASSIVE_VIDEO","securityLevel":"HIGH","seed":1150867590,"certificates":["MII…"],"serverRandom":"avf0FHL…","signature":"eyJ…"}"#);
    assert_signed(&gateway, &passive.body);

    let active = r#"{"type": "LIVENESS_ACTIVE","securityLevel": "HIGH","nbChallenge": 2,"imageRetrievalDisabled": false}"#;
    let active = gateway.init_replay(session, active).await;
    let id = active.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 4);
    assert_snapshot!(scrubbed(&active).replace(&id, "…"), @r#"{"id":"…","type":"LIVENESS_ACTIVE","securityLevel":"HIGH","nbChallenge":2,"imageRetrievalDisabled":false,"seed":1150867590,"certificates":["MII…"],"serverRandom":"avf0FHL…","signature":"eyJ…"}"#);
    assert_signed(&gateway, &active.body);
}

async fn the_curl_line_of_the_text_begins_a_replay() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let begun = gateway.init_replay(session, "[{\n   \"type\": \"LIVENESS_PASSIVE\"\n }]").await;
    let answer = begun.json();
    assert_eq!((begun.status, &answer["type"]), (200, &json!("LIVENESS_PASSIVE")), "{begun:?}");
    assert_eq!(answer["securityLevel"], "HIGH");
    assert!(begun.value("X-Capture-Token").is_some_and(|token| token.len() > 100), "{begun:?}");
}

async fn parameters_have_their_defaults() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    for (body, expected) in [
        // The old name of the active type. Only that type has challenges.
        (r#"{"type":"LIVENESS_HIGH"}"#, json!(["LIVENESS_ACTIVE", "HIGH", 2, null])),
        (r#"{"type":"LIVENESS_ACTIVE","nbChallenge":"6"}"#, json!(["LIVENESS_ACTIVE", "HIGH", 6, null])),
        (r#"{"type":"LIVENESS_ACTIVE","nbChallenge":1}"#, json!(["LIVENESS_ACTIVE", "HIGH", 1, null])),
        (r#"{"type":"LIVENESS_PASSIVE","nbChallenge":0}"#, json!(["LIVENESS_PASSIVE", "HIGH", null, null])),
        (
            r#"{"type":"LIVENESS_PASSIVE_VIDEO","securityLevel":"LOW","imageRetrievalDisabled":"TRUE"}"#,
            json!(["LIVENESS_PASSIVE_VIDEO", "LOW", null, true]),
        ),
        (
            r#"{"type":"LIVENESS_PASSIVE","securityLevel":"MEDIUM","matchThreshold":3000,"logLevel":"DEBUG"}"#,
            json!(["LIVENESS_PASSIVE", "MEDIUM", null, null]),
        ),
    ] {
        let answer = gateway.init_replay(session, body).await.json();
        let seen: Vec<&Value> = ["type", "securityLevel", "nbChallenge", "imageRetrievalDisabled"]
            .map(|member| answer.get(member).unwrap_or(&Value::Null))
            .into();
        assert_eq!(json!(seen), expected, "{body}");
        assert!(!answer.as_object().unwrap().values().any(Value::is_null), "{answer}");
        let record = gateway.replay(session).await.record;
        assert_eq!(u64::from(record.challenge_count), answer["nbChallenge"].as_u64().unwrap_or(0));
        assert!(!record.returns_image, "only after an explicit false");
    }
}

async fn every_replay_is_drawn_anew() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let mut drawn = HashSet::new();
    for _ in 0..20 {
        let answer = gateway.init_replay(session, r#"{"type":"LIVENESS_ACTIVE"}"#).await.json();
        let random = STANDARD.decode_to_vec(answer["serverRandom"].as_str().unwrap()).unwrap();
        let record = gateway.replay(session).await.record;
        assert_eq!(random, record.server_random);
        assert_eq!(answer["seed"], record.seed);
        assert_eq!(answer["id"], record.id);
        for member in ["seed", "serverRandom", "id"] {
            assert!(drawn.insert(answer[member].to_string()), "{answer}");
        }
    }
}

async fn parameters_that_are_not_of_the_form_are_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let long = format!(r#"{{"type":"LIVENESS_PASSIVE","id":"{}"}}"#, "x".repeat(129));
    let mut said = String::new();
    for body in [
        "",
        "{}",
        "[]",
        "[{}]",
        r#"[{"type":"LIVENESS_PASSIVE"},{"type":"LIVENESS_PASSIVE"}]"#,
        r#"["LIVENESS_PASSIVE"]"#,
        r#"[{"type":"LIVENESS_PASSIVE"},]"#,
        r#"[{"type":"LIVENESS_PASSIVE","type":"LIVENESS_ACTIVE"}]"#,
        r#"{"type":"NO_LIVENESS"}"#,
        r#"{"type":"LIVENESS_MEDIUM"}"#,
        r#"{"type":"LIVENESS_MLC"}"#,
        r#"{"type":"liveness_passive"}"#,
        r#"{"type":"LIVENESS_PASSIVE","securityLevel":"VERY_HIGH"}"#,
        r#"{"type":"LIVENESS_ACTIVE","nbChallenge":0}"#,
        r#"{"type":"LIVENESS_ACTIVE","nbChallenge":7}"#,
        r#"{"type":"LIVENESS_ACTIVE","nbChallenge":1.5}"#,
        r#"{"type":"LIVENESS_PASSIVE","imageRetrievalDisabled":1}"#,
        r#"{"type":"LIVENESS_PASSIVE","id":"a b"}"#,
        r#"{"type":"LIVENESS_PASSIVE","id":"ü"}"#,
        &long,
    ] {
        let (status, message) = gateway.init_replay(session, body).await.error();
        said += &format!("{status} {message}\n");
    }
    assert_snapshot!(said, @r#"
    400 `body` is not a JSON object: it ends too early at line 1 column 0
    400 `type` is missing
    400 the body must be one object, or an array of one object, and not of 0
    400 `type` is missing
    400 the body must be one object, or an array of one object, and not of 2
    400 `body` is not a JSON object: not of the form at line 1 column 18
    400 the body is not JSON: no JSON at line 1 column 30
    400 `type` has two different values
    400 `type` NO_LIVENESS is not supported any more: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `type` LIVENESS_MEDIUM is not supported any more: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `type` LIVENESS_MLC is not supported by this service: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `type` "liveness_passive" is not known: allowed values are LIVENESS_ACTIVE, LIVENESS_PASSIVE, LIVENESS_PASSIVE_VIDEO
    400 `securityLevel` "VERY_HIGH" is not known: allowed values are LOW, MEDIUM, HIGH
    400 `nbChallenge` must be 1 to 6
    400 `nbChallenge` must be 1 to 6
    400 `nbChallenge` must be a whole number
    400 `imageRetrievalDisabled` must be true or false
    400 `id` must have 1 to 128 visible ASCII characters
    400 `id` must have 1 to 128 visible ASCII characters
    400 `id` must have 1 to 128 visible ASCII characters
    "#);
    let nothing = get(gateway.address, &path(session, "liveness-parameters")).await;
    assert_eq!(nothing.error(), (404, "Replay liveness not found".into()), "nothing was begun");
}

async fn parameters_are_read_again_to_the_byte() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let read = async || get(gateway.address, &path(session, "liveness-parameters")).await;
    assert_eq!(read().await.error(), (404, "Replay liveness not found".into()));
    let begun = gateway.init_replay(session, r#"{"type":"LIVENESS_ACTIVE"}"#).await;
    for _ in 0..2 {
        let again = read().await;
        assert_eq!((again.status, &again.body), (200, &begun.body));
        assert_eq!(again.value("X-Capture-Token"), None, "it is shown once");
    }
    let other = gateway.init_replay(session, r#"{"type":"LIVENESS_PASSIVE"}"#).await;
    assert_eq!(read().await.body, other.body);
}

async fn a_new_replay_replaces_any_but_one_that_is_judged() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let body = r#"{"type":"LIVENESS_PASSIVE"}"#;
    let begun = gateway.init_replay(session, body).await;
    let record = gateway.replay(session).await.record;
    gateway.set_replay(session, submitted(&record, session)).await;
    let refused = gateway.init_replay(session, body).await;
    assert_eq!(refused.error(), (409, "There is replay liveness in progress".into()));
    assert_eq!(get(gateway.address, &path(session, "liveness-parameters")).await.body, begun.body);
    assert_eq!(delete(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 409);

    gateway.end_replay(session, |ended| ended.status = ReplayStatus::Spoof).await;
    assert_eq!(status(&gateway, session).await.json()["status"], "SPOOF");
    assert_eq!(gateway.init_replay(session, body).await.status, 200);
    assert_eq!(status(&gateway, session).await.json()["status"], "INITIALIZED");
    gateway.set_replay(session, ReplayState::Uploading { upload: Uuid::new_v4() }).await;
    assert_eq!(gateway.init_replay(session, body).await.status, 200, "an upload that is not complete");
    assert!(matches!(gateway.replay(session).await.record.state, ReplayState::Initialized));
}

/// The answer without its signature.
fn unsigned(answer: &Answer) -> &str {
    answer.body.split_once(",\"signature\"").unwrap().0
}

async fn the_samples_of_a_status_are_answered_as_printed() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let id = "c672be72-89c1-4035-b0b6-9e9afa6bc85b";
    let body = json!({"type": "LIVENESS_ACTIVE", "id": id, "imageRetrievalDisabled": false}).to_string();
    gateway.init_replay(session, &body).await;
    let record = gateway.replay(session).await.record;
    let mut in_progress = submitted(&record, session);
    let ReplayState::InProgress(without_descriptions) = &mut in_progress else { panic!() };
    (without_descriptions.device_info, without_descriptions.sdk_info) = (None, None);
    gateway.set_replay(session, in_progress).await;
    let answer = status(&gateway, session).await;
    assert_eq!(unsigned(&answer), format!(r#"{{"id":"{id}","status":"IN_PROGRESS""#));
    assert_signed(&gateway, &answer.body);

    gateway.end_replay(session, |_| ()).await;
    let answer = status(&gateway, session).await;
    let image = STANDARD.encode_to_string(BEST_IMAGE);
    let landmarks =
        r#"{"eyes":{"x1":581,"y1":270,"x2":695,"y2":266},"box":{"x":465,"y":149,"width":348,"height":348}}"#;
    let expected = format!(r#"{{"id":"{id}","status":"SUCCESS","image":"{image}","landmarks":{landmarks}"#);
    assert_eq!(unsigned(&answer), expected);
    assert_signed_detached(&gateway, &answer.body);

    gateway.end_replay(session, |ended| ended.status = ReplayStatus::Spoof).await;
    let answer = status(&gateway, session).await;
    assert_eq!(unsigned(&answer), format!(r#"{{"id":"{id}","status":"SPOOF""#));
    assert_signed(&gateway, &answer.body);
}

async fn a_status_describes_device_and_exports() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    gateway.init_replay(session, r#"{"type":"LIVENESS_PASSIVE","id":"replay-id"}"#).await;
    let record = gateway.replay(session).await.record;
    gateway.set_replay(session, submitted(&record, session)).await;
    let device = r#""deviceInfo":{"deviceModel":"SM-G935F","osType":"Android","osVersion":"7.0"},"sdkInfo":{"sdkVersion":"1.0.0"}"#;
    let answer = status(&gateway, session).await;
    assert_eq!(unsigned(&answer), format!(r#"{{"id":"replay-id","status":"IN_PROGRESS",{device}"#));

    gateway
        .end_replay(session, |ended| {
            ended.status = ReplayStatus::Failed;
            ended.device_info = Some(json!({"deviceModel": "SM-G935F"}));
            ended.sdk_info = Some(json!("not of the form"));
            ended.image_storage = Some(exported("best.jpg", "image/jpeg"));
            ended.video_storage = Some(exported("video.webm", "video/webm"));
        })
        .await;
    let answer = status(&gateway, session).await;
    assert_snapshot!(unsigned(&answer), @r#"{"id":"replay-id","status":"FAILED","deviceInfo":{"deviceModel":"SM-G935F"},"imageStorage":{"region":"eu-central-1","bucketName":"wbs-video-storage","key":"doc-dev/best.jpg","hash":"d32c4ff2770a4f9d4d10d048492dbb456fb153153db5ae5f1454d1442d488093","hashAlgorithm":"SHA_256","contentType":"image/jpeg"},"videoStorage":{"region":"eu-central-1","bucketName":"wbs-video-storage","key":"doc-dev/video.webm","hash":"d32c4ff2770a4f9d4d10d048492dbb456fb153153db5ae5f1454d1442d488093","hashAlgorithm":"SHA_256","contentType":"video/webm"}"#);
    assert_signed(&gateway, &answer.body);
}

async fn an_image_is_returned_only_where_the_caller_asked_for_it() {
    let gateway = Gateway::start(Workers::able()).await;
    for (disabled, is_returned) in [(json!(null), false), (json!(true), false), (json!(false), true)] {
        let session = gateway.session("").await;
        let body = json!({"type": "LIVENESS_PASSIVE", "imageRetrievalDisabled": disabled});
        gateway.init_replay(session, &body.to_string()).await;
        gateway.end_replay(session, |_| ()).await;
        let answer = status(&gateway, session).await;
        assert_eq!(answer.json().get("image").is_some(), is_returned, "{answer:?}");
        assert!(answer.json()["landmarks"]["box"].is_object(), "{answer:?}");
    }
}

async fn every_status_is_answered() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    gateway.init_replay(session, r#"{"type":"LIVENESS_PASSIVE"}"#).await;
    let seen = async || status(&gateway, session).await.json()["status"].as_str().unwrap().to_owned();
    assert_eq!(seen().await, "INITIALIZED");
    gateway.set_replay(session, ReplayState::Uploading { upload: Uuid::new_v4() }).await;
    assert_eq!(seen().await, "INITIALIZED");
    for (ended, name) in [
        (ReplayStatus::Success, "SUCCESS"),
        (ReplayStatus::Failed, "FAILED"),
        (ReplayStatus::Spoof, "SPOOF"),
        (ReplayStatus::Error, "ERROR"),
        (ReplayStatus::Timeout, "TIMEOUT"),
    ] {
        gateway.end_replay(session, |replay| replay.status = ended).await;
        assert_eq!(seen().await, name);
    }
}

async fn the_deprecated_status_is_the_same() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    gateway.init_replay(session, r#"{"type":"LIVENESS_PASSIVE"}"#).await;
    let old = get(gateway.address, &path(session, "replay-liveness-metadata")).await;
    let new = status(&gateway, session).await;
    assert_eq!(unsigned(&old), unsigned(&new));
    assert_signed(&gateway, &old.body);
    assert_eq!(old.header("deprecation"), Some("@1767225600"));
    let successor = path(session, "replay-liveness-metadata").replace("/v2/", "/v3/");
    assert_eq!(old.header("link"), Some(&*format!("<{successor}>; rel=\"successor-version\"")));
    assert_eq!(new.header("deprecation"), None);
}

async fn there_is_no_status_before_a_replay() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let old = get(gateway.address, &path(session, "replay-liveness-metadata")).await;
    for answer in [old, status(&gateway, session).await] {
        assert_eq!(answer.error(), (404, "Replay liveness not found".into()));
    }
}

async fn an_image_that_was_lost_is_an_internal_error() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let body = r#"{"type":"LIVENESS_PASSIVE","imageRetrievalDisabled":false}"#;
    gateway.init_replay(session, body).await;
    gateway.end_replay(session, |ended| ended.best_image = Some(format!("sessions/{session}/lost"))).await;
    assert_eq!(status(&gateway, session).await.error(), (500, "internal error".into()));
}
