//! Sessions.

use std::time::Duration;

use faceline_gateway::sessions::Session;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::contract;
use crate::client::{delete, get, post_json, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::signed::assert_signed;
use crate::workers::Workers;

contract! {
    the_members_of_a_session_come_back: [
        ("CreateBioSession", 201, ["correlationId", "evidenceId", "imageStorageEnabled", "ttlSeconds", "Location"]),
        ("GetBioSession", 200, ["id", "correlationId", "evidenceId", "imageStorageEnabled", "created", "expires", "signature"]),
    ];
    an_empty_body_creates_a_session: [("CreateBioSession", 201), ("GetBioSession", 200)];
    values_may_be_texts_and_null: [("CreateBioSession", 201, ["imageStorageEnabled", "ttlSeconds"])];
    where_to_call_back_is_kept: [("CreateBioSession", 201, ["callbackURL"])];
    a_session_that_is_not_of_the_form_is_refused: [("CreateBioSession", 400, ["ttlSeconds", "callbackURL"])];
    a_body_that_is_too_long_is_refused: [("CreateBioSession", 413)];
    who_asks_too_much_has_to_wait: [("CreateBioSession", 429), ("GetBioSession", 429)];
    a_session_ends_by_itself: [("GetBioSession", 404), ("CreateBioSession", 201, ["ttlSeconds"])];
    a_deleted_session_is_gone: [("DeleteBioSession", 204), ("DeleteBioSession", 404), ("GetBioSession", 404)];
    a_session_with_a_replay_in_progress_stays: [("DeleteBioSession", 409)];
}

fn time(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

async fn the_members_of_a_session_come_back() {
    let gateway = Gateway::start(Workers::able()).await;
    let body = json!({
        "correlationId": "891a6728-1ac4-11e7-93ae-92361f002671", "evidenceId": "e-1", "imageStorageEnabled": true,
        "ttlSeconds": 300, "callbackURL": "https://service/callback", "unknown": [1]
    });
    let created = post_json(gateway.address, SESSIONS, &body.to_string()).await;
    assert_eq!((created.status, created.body.as_str()), (201, ""));
    let location = created.header("location").unwrap();
    let id = location.strip_prefix("/v2/bio-sessions/").unwrap();
    assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 4);

    let session = get(gateway.address, &format!("/bioserver-app{location}")).await;
    assert_eq!(session.status, 200);
    let answer = session.json();
    let members: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["correlationId", "created", "evidenceId", "expires", "id", "imageStorageEnabled", "signature"];
    assert_eq!(members, expected);
    assert_eq!(answer["id"], id);
    assert_eq!(answer["correlationId"], "891a6728-1ac4-11e7-93ae-92361f002671");
    assert_eq!(answer["evidenceId"], "e-1");
    assert_eq!(answer["imageStorageEnabled"], true);
    assert_eq!(time(&answer["expires"]) - time(&answer["created"]), Duration::from_secs(300));
    assert_signed(&gateway, &session.body);
    let again = get(gateway.address, &format!("/bioserver-app{location}")).await;
    assert_eq!(again.body, session.body);
}

async fn an_empty_body_creates_a_session() {
    let gateway = Gateway::start(Workers::able()).await;
    for body in ["", "{}", "\u{feff}{}\n"] {
        let created = post_json(gateway.address, SESSIONS, body).await;
        let session =
            get(gateway.address, &format!("/bioserver-app{}", created.header("location").unwrap())).await;
        let session = session.json();
        let members: Vec<&str> = session.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["created", "expires", "id", "imageStorageEnabled", "signature"]);
        assert_eq!(session["imageStorageEnabled"], false);
        assert_eq!(time(&session["expires"]) - time(&session["created"]), Duration::from_mins(30));
    }
    // An absent content type is not a wrong one.
    let bare = send(gateway.address, &format!("POST {SESSIONS}"), &[("apikey", "demo")], b"").await;
    assert_eq!(bare.status, 201);
}

async fn values_may_be_texts_and_null() {
    let gateway = Gateway::start(Workers::able()).await;
    for body in [
        json!({"imageStorageEnabled": "TRUE", "ttlSeconds": "60", "callbackURL": "http://127.0.0.1:1/x?y=z"}),
        json!({"imageStorageEnabled": true, "ttlSeconds": 60.0, "callbackURL": null, "correlationId": null}),
    ] {
        let created = post_json(gateway.address, SESSIONS, &body.to_string()).await;
        let session =
            get(gateway.address, &format!("/bioserver-app{}", created.header("location").unwrap())).await;
        let session = session.json();
        assert_eq!(session["imageStorageEnabled"], true, "{body}");
        assert_eq!(time(&session["expires"]) - time(&session["created"]), Duration::from_secs(60), "{body}");
        assert!(session.get("correlationId").is_none());
    }
}

async fn where_to_call_back_is_kept() {
    let gateway = Gateway::start(Workers::able()).await;
    let id = gateway.session(r#"{"callbackURL":"https://service/callback?a=b"}"#).await;
    let (session, _): (Session, Duration) =
        gateway.stores.records().sessions.session(&gateway.name(id)).await.unwrap().unwrap();
    assert_eq!(session.callback_url.as_deref(), Some("https://service/callback?a=b"));
}

async fn a_session_that_is_not_of_the_form_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    for (body, expected) in [
        (r#"{"ttlSeconds":0}"#, "`ttlSeconds` must be 1 to 86400"),
        (r#"{"ttlSeconds":-5}"#, "`ttlSeconds` must be 1 to 86400"),
        (r#"{"ttlSeconds":86401}"#, "`ttlSeconds` must be 1 to 86400"),
        (r#"{"ttlSeconds":1.5}"#, "`ttlSeconds` must be a whole number"),
        (r#"{"ttlSeconds":"soon"}"#, "`ttlSeconds` must be a whole number"),
        (r#"{"imageStorageEnabled":1}"#, "`imageStorageEnabled` must be true or false"),
        (r#"{"correlationId":{}}"#, "`correlationId` must be a plain value"),
        (r#"{"correlationId":"a","correlationId":"b"}"#, "`correlationId` has two different values"),
        (r#"{"callbackURL":"/callback"}"#, "`callbackURL` is not a URL: relative URL without a base"),
        (r#"{"callbackURL":"ftp://service/"}"#, "`callbackURL` must begin with http:// or https://"),
        (r#"{"callbackURL":"https://"}"#, "`callbackURL` is not a URL: empty host"),
        ("[]", "`body` is not a JSON object: not of the form at line 1 column 0"),
    ] {
        assert_eq!(
            post_json(gateway.address, SESSIONS, body).await.error(),
            (400, expected.into()),
            "{body}"
        );
    }
    let (status, message) = post_json(gateway.address, SESSIONS, "{").await.error();
    assert!(status == 400 && message.starts_with("`body` is not a JSON object"), "{message}");
    let headers = [("apikey", "demo"), ("Content-Type", "application/x-www-form-urlencoded")];
    let form = send(gateway.address, &format!("POST {SESSIONS}"), &headers, b"{}").await;
    assert_eq!(form.error(), (400, "Content-Type must be application/json".into()));
}

async fn a_body_that_is_too_long_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let body = json!({"correlationId": "x".repeat(200_000)}).to_string();
    assert_eq!(post_json(gateway.address, SESSIONS, &body).await.error().0, 413);
}

async fn who_asks_too_much_has_to_wait() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 1;
    })
    .await;
    let created = post_json(gateway.address, SESSIONS, "").await;
    assert_eq!(created.status, 201);
    assert_eq!(post_json(gateway.address, SESSIONS, "").await.error().0, 429);
    let path = format!("/bioserver-app{}", created.header("location").unwrap());
    assert_eq!(get(gateway.address, &path).await.error().0, 429);
}

async fn a_session_ends_by_itself() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"ttlSeconds":1}"#).await;
    let face = gateway.face(session, "x").await;
    gateway.until(async || get(gateway.address, &format!("{SESSIONS}/{session}")).await.status == 404).await;
    let gone = get(gateway.address, &format!("{SESSIONS}/{session}/faces/{face}")).await;
    assert_eq!(gone.error(), (404, "Session not found".into()));
    let again = delete(gateway.address, &format!("{SESSIONS}/{session}")).await;
    assert_eq!(again.error(), (404, "Session not found".into()));
}

async fn a_deleted_session_is_gone() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let face = gateway.face(session, "x").await;
    let path = format!("{SESSIONS}/{session}");
    let deleted = delete(gateway.address, &path).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(delete(gateway.address, &path).await.error(), (404, "Session not found".into()));
    for below in [path.clone(), format!("{path}/faces"), format!("{path}/faces/{face}")] {
        assert_eq!(get(gateway.address, &below).await.error(), (404, "Session not found".into()));
    }
}

async fn a_session_with_a_replay_in_progress_stays() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session("").await;
    let path = format!("{SESSIONS}/{session}");
    assert!(gateway.set_replay_in_progress(session, 0, true).await);
    assert_eq!(
        delete(gateway.address, &path).await.error(),
        (409, "There is replay liveness in progress".into())
    );
    assert_eq!(get(gateway.address, &path).await.status, 200);
    assert!(gateway.set_replay_in_progress(session, 1, false).await);
    assert_eq!(delete(gateway.address, &path).await.status, 204);
}
