//! Capture pages whose only credential is the id of a web-capture session.

use base64_simd::STANDARD;
use faceline_gateway::replays::{RecipientKeys, ReplayStatus};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use uuid::Uuid;

use super::device::{Device, Upload};
use crate::client::{Answer, delete, get, post_json, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::Workers;

const APP: &str = "https://app.example";
const ASKED: &str = r#"{"livenessMode":"LIVENESS_ACTIVE","numberOfChallenge":2,"securityLevel":"HIGH"}"#;

fn enabled(config: &mut Settings) {
    config.capture.session_id_authorises = Some(true);
    config.capture.origins = Some(vec![APP.into()]);
}

async fn gateway(change: impl FnOnce(&mut Settings)) -> Gateway {
    Gateway::with(Workers::able(), |config| {
        enabled(config);
        change(config);
    })
    .await
}

/// A new session of web capture, as the device of its page.
async fn begun(gateway: &Gateway) -> Device<'_> {
    let created = post_json(gateway.address, "/video-server/init-liveness-session", ASKED).await;
    assert_eq!(created.status, 201, "{created:?}");
    let (_, id) = created.header("location").unwrap().split_once("/bio-sessions/").unwrap();
    let session = id.parse().unwrap();
    let keys = RecipientKeys::load(&gateway.config, &Metrics::new()).unwrap();
    let certificate = STANDARD.decode_to_vec(&keys.certificates()[0]).unwrap();
    Device { gateway, session, record: gateway.replay(session).await.record, certificate }
}

fn status_path(session: Uuid) -> String {
    format!("{SESSIONS}/{session}/replay-liveness-metadata").replace("/v2/", "/v3/")
}

fn parameters_path(session: Uuid) -> String {
    format!("{SESSIONS}/{session}/liveness-parameters")
}

async fn read(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(gateway.address, &format!("GET {path}"), headers, b"").await
}

async fn send_upload(device: &Device<'_>, origin: Option<&str>, upload: &Upload) -> Answer {
    let mut headers = vec![("Content-Type", "multipart/form-data; boundary=b")];
    headers.extend(origin.map(|origin| ("Origin", origin)));
    send(device.gateway.address, &format!("POST {}", device.path()), &headers, &upload.body()).await
}

/// Statuses of the three calls of a page with these headers. The upload is invalid, so 400 means that the call was
/// authorised.
async fn tried(gateway: &Gateway, session: Uuid, headers: &[(&str, &str)]) -> [u16; 3] {
    let line = format!("POST {SESSIONS}/{session}/replay-liveness");
    [
        read(gateway, &parameters_path(session), headers).await.status,
        send(gateway.address, &line, headers, b"x").await.status,
        read(gateway, &status_path(session), headers).await.status,
    ]
}

const LET_IN: [u16; 3] = [200, 400, 200];
const REFUSED: [u16; 3] = [401; 3];

#[tokio::test]
async fn the_id_opens_one_upload_of_its_session() {
    let gateway = gateway(|_| ()).await;
    let device = begun(&gateway).await;
    let page = [("Origin", APP)];
    let parameters = read(&gateway, &parameters_path(device.session), &page).await;
    assert_eq!((parameters.status, &parameters.body), (200, &device.record.answer));
    assert_eq!(parameters.header("access-control-allow-origin"), Some(APP));
    let upload = device.upload(300_000);
    let answer = send_upload(&device, Some(APP), &upload).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (202, Some(APP)), "{answer:?}");
    let status = read(&gateway, &status_path(device.session), &page).await.json();
    assert_eq!(status["status"], "IN_PROGRESS");
    // The same video again is the same upload; another video is refused.
    assert_eq!(send_upload(&device, Some(APP), &upload).await.status, 202);
    let other = send_upload(&device, Some(APP), &device.upload(1000)).await;
    assert_eq!(other.status, 409, "{other:?}");
    // The page gets the same status as any device, without a picture.
    gateway.end_replay(device.session, |_| ()).await;
    let status = read(&gateway, &status_path(device.session), &page).await.json();
    assert_eq!((&status["status"], status.get("image")), (&"SUCCESS".into(), None));
}

#[tokio::test]
async fn only_pages_of_allowed_origins_may_show_it() {
    let gateway = gateway(|_| ()).await;
    let session = begun(&gateway).await.session;
    assert_eq!(tried(&gateway, session, &[("Origin", APP)]).await, LET_IN);
    for headers in [
        &[][..],
        &[("Origin", "https://other.example")],
        &[("Origin", "https://app.example:8443")],
        &[("Origin", "http://localhost:3000")],
        &[("Origin", "null")],
        &[("Origin", APP), ("Origin", APP)],
        &[("Referer", "https://app.example/")],
        // The id does not replace a credential that is present and wrong.
        &[("Origin", APP), ("apikey", "wrong")],
        &[("Origin", APP), ("X-Capture-Token", "wrong")],
    ] {
        assert_eq!(tried(&gateway, session, headers).await, REFUSED, "{headers:?}");
    }
}

#[tokio::test]
async fn a_page_at_the_gateways_own_origin_reads_without_an_origin() {
    let gateway = gateway(|config| config.capture.origins = Some(vec![format!("{APP}:8443")])).await;
    let session = begun(&gateway).await.session;
    let own = ("Sec-Fetch-Site", "same-origin");
    let read_as =
        async |headers: &[(&str, &str)]| read(&gateway, &parameters_path(session), headers).await.status;
    assert_eq!(read_as(&[("Host", "app.example:8443"), own]).await, 200);
    for headers in [
        &[("Host", "app.example:8443")][..],
        &[("Host", "app.example"), own],
        &[("Host", "other.example:8443"), own],
        &[("Host", "app.example:8443"), ("Sec-Fetch-Site", "same-site")],
        &[("Host", "app.example:8443"), ("Sec-Fetch-Site", "none")],
        &[("Host", "app.example:8443"), own, own],
        &[("Host", "app.example:8443"), own, ("Origin", "https://other.example")],
    ] {
        assert_eq!(read_as(headers).await, 401, "{headers:?}");
    }
}

#[tokio::test]
async fn it_opens_no_other_operation_and_no_other_session() {
    let gateway = gateway(|_| ()).await;
    let session = begun(&gateway).await.session;
    let face = gateway.face(session, "x").await;
    for line in [
        format!("GET {SESSIONS}/{session}"),
        format!("DELETE {SESSIONS}/{session}"),
        format!("GET {SESSIONS}/{session}/faces"),
        format!("POST {SESSIONS}/{session}/faces"),
        format!("DELETE {SESSIONS}/{session}/faces"),
        format!("GET {SESSIONS}/{session}/faces/{face}"),
        format!("GET {SESSIONS}/{session}/faces/{face}/image"),
        format!("GET {SESSIONS}/{session}/faces/{face}/matches"),
        format!("POST {SESSIONS}/{session}/init-liveness-parameters"),
        format!("GET {SESSIONS}/{session}/liveness-challenge-result"),
        format!("GET {SESSIONS}/{session}/liveness-challenge-result/LIVENESS_ACTIVE/HIGH"),
        format!("GET {SESSIONS}/{session}/replay-liveness-metadata"),
        "POST /video-server/init-liveness-session".to_owned(),
        format!("POST {SESSIONS}"),
        "POST /bioserver-app/v2/faces".to_owned(),
    ] {
        let answer = send(gateway.address, &line, &[("Origin", APP)], b"").await;
        assert_eq!(answer.error().0, 401, "{line}");
    }
    // One session is for an app's capture, and the other one has no replay.
    let native = gateway.session("").await;
    assert_eq!(tried(&gateway, native, &[("Origin", APP)]).await, REFUSED);
    gateway.init_replay(native, r#"{"type":"LIVENESS_PASSIVE"}"#).await;
    assert_eq!(tried(&gateway, native, &[("Origin", APP)]).await, REFUSED);
    assert_eq!(tried(&gateway, Uuid::new_v4(), &[("Origin", APP)]).await, REFUSED);
    // An app begins a new replay of the session.
    gateway.init_replay(session, r#"{"type":"LIVENESS_PASSIVE"}"#).await;
    assert_eq!(tried(&gateway, session, &[("Origin", APP)]).await, REFUSED);
    // An upload that is encrypted for one session is refused for another one.
    let (one, two) = (begun(&gateway).await, begun(&gateway).await);
    assert_eq!(send_upload(&two, Some(APP), &one.upload(1000)).await.status, 400);
    assert_eq!(send_upload(&two, Some(APP), &two.upload(1000)).await.status, 202);
}

#[tokio::test]
async fn it_ends_with_the_session_and_works_at_every_gateway() {
    let stores = Stores::new();
    let one = Gateway::over(stores.clone(), Workers::able(), enabled).await;
    let two = Gateway::over(stores.clone(), Workers::able(), enabled).await;
    let session = begun(&one).await.session;
    assert_eq!(tried(&two, session, &[("Origin", APP)]).await, LET_IN);
    // A gateway whose settings do not allow this authorises no page, even if other gateways stored the session's
    // owner.
    let off = Gateway::over(stores.clone(), Workers::able(), |config| {
        config.capture.session_id_authorises = Some(false);
    });
    let off = off.await;
    for origin in [APP, "http://localhost:3000"] {
        assert_eq!(tried(&off, session, &[("Origin", origin)]).await, REFUSED);
    }
    // Nor does it store the owners of sessions.
    let unknown = begun(&off).await.session;
    assert_eq!(tried(&two, unknown, &[("Origin", APP)]).await, REFUSED);
    one.end_replay(session, |ended| ended.status = ReplayStatus::Timeout).await;
    assert_eq!(read(&two, &status_path(session), &[("Origin", APP)]).await.json()["status"], "TIMEOUT");
    assert_eq!(delete(one.address, &format!("{SESSIONS}/{session}")).await.status, 204);
    assert_eq!(tried(&two, session, &[("Origin", APP)]).await, REFUSED);
}

#[tokio::test]
async fn a_session_whose_time_is_over_opens_nothing() {
    let gateway = gateway(|config| {
        config.sessions.default_ttl = std::time::Duration::from_secs(1);
        config.limits.failed_logins = 10_000;
    })
    .await;
    let session = begun(&gateway).await.session;
    gateway.until(async || tried(&gateway, session, &[("Origin", APP)]).await == REFUSED).await;
    assert_eq!(get(gateway.address, &format!("{SESSIONS}/{session}")).await.status, 404);
}

#[tokio::test]
async fn wrong_ids_count_as_failed_logins_and_a_right_one_still_passes() {
    let gateway = gateway(|config| config.limits.failed_logins = 3).await;
    let session = begun(&gateway).await.session;
    let guess = async || read(&gateway, &parameters_path(Uuid::new_v4()), &[("Origin", APP)]).await.error();
    for _ in 0..3 {
        assert_eq!(guess().await, (401, "authentication is required".into()));
    }
    let (status, message) = guess().await;
    assert_eq!((status, message.contains("wrong credentials")), (429, true), "{message}");
    assert_eq!(tried(&gateway, session, &[("Origin", APP)]).await, LET_IN);
}
