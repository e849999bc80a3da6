//! Refusals of requests before they become jobs.

use std::sync::atomic::Ordering;

use crate::client::{Answer, exchange, get, multipart, post, request};
use crate::gateway::Gateway;
use crate::workers::Workers;

const FACES: &str = "POST /bioserver-app/v2/faces";
const CAPABILITIES: &str = "GET /bioserver-app/v2/capabilities";
const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=b");

async fn send(gateway: &Gateway, line: &str, headers: &[(&str, &str)]) -> Answer {
    exchange(gateway.address, &request(line, headers, b"")).await
}

fn counted(gateway: &Gateway, line: &str) {
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}

#[tokio::test]
async fn without_a_key_nothing_is_done_or_told() {
    let gateway = Gateway::start(Workers::able()).await;
    for (line, headers) in [
        (CAPABILITIES, &[][..]),
        (CAPABILITIES, &[("apikey", "wrong")]),
        (CAPABILITIES, &[("Authorization", "Bearer demo")]),
        (FACES, &[FORM]),
        (FACES, &[]),
    ] {
        let answer = send(&gateway, line, headers).await;
        assert_eq!(answer.error(), (401, "authentication is required".into()));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    counted(&gateway, r#"faceline_http_refusals_total{cause="unauthenticated",operation="create_face"} 2"#);
}

#[tokio::test]
async fn a_key_does_what_it_is_allowed() {
    let file = std::env::temp_dir().join(format!("faceline-accounts-{}.toml", uuid::Uuid::new_v4()));
    // SHA-256 of "secret".
    let text = r#"
        [[clients]]
        name = "bank"
        [[clients.keys]]
        id = "bank-1"
        secret = { api_key_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }
        permissions = ["capabilities:read"]
    "#;
    std::fs::write(&file, text).unwrap();
    let gateway = Gateway::with(Workers::able(), |config| {
        config.accounts.file = Some(file.clone());
    })
    .await;
    std::fs::remove_file(&file).unwrap();

    let key = ("apikey", "secret");
    assert_eq!(send(&gateway, CAPABILITIES, &[key]).await.status, 200);
    let refused = send(&gateway, FACES, &[key, FORM]).await;
    assert_eq!(refused.error(), (403, "the permission `faces:create` is missing".into()));
    let demo = send(&gateway, CAPABILITIES, &[("apikey", "demo")]).await;
    assert_eq!(demo.error().0, 401, "there is no demo account beside a file");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let gateway = Gateway::start(Workers::able()).await;
    for path in ["/", "/bioserver-app/v2/nothing", "/video-server/x/y", "/bioserver-app/v2/faces/"] {
        assert_eq!(get(gateway.address, path).await.error().0, 404, "{path}");
    }
    let answer = get(gateway.address, "/bioserver-app/v2/faces").await;
    assert_eq!(answer.error(), (405, "this method is not allowed here".into()));
    assert_eq!(answer.header("allow"), Some("post"));
    counted(&gateway, r#"faceline_http_requests_total{operation="unknown",status="404"} 4"#);
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let key = ("apikey", "demo");
    for headers in [
        &[key][..],
        &[key, ("Content-Type", "application/json")],
        &[key, ("Content-Type", "multipart/form-data")],
    ] {
        let (status, message) = send(&gateway, FACES, headers).await.error();
        assert_eq!(status, 400);
        assert!(message.contains("Content-Type"), "{message}");
    }
}

#[tokio::test]
async fn too_large_bodies_and_parts_are_refused() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.picture_bytes = 1000).await;
    let head = [("apikey", "demo"), FORM, ("Content-Length", "2000000")];
    let (status, message) = send(&gateway, FACES, &head).await.error();
    assert_eq!((status, message.contains("at most 1049576 bytes")), (413, true), "{message}");

    let fits = "x".repeat(1000);
    let image =
        post(gateway.address, "/bioserver-app/v2/faces", &[("image", &fits), ("imageType", "SELFIE")]).await;
    assert_eq!(image.status, 200);
    let large = "x".repeat(1001);
    let image = post(gateway.address, "/bioserver-app/v2/faces", &[("image", &large)]).await;
    let too_big = "the request is too big: at most 1000 bytes are allowed in `image`";
    assert_eq!(image.error(), (413, too_big.into()));
    let text = "x".repeat(200_000);
    let value = post(gateway.address, "/bioserver-app/v2/faces", &[("friendlyName", &text)]).await;
    assert_eq!(value.error().0, 413);

    // The length is unknown, so the gateway notices while the body arrives.
    let mut chunked = request(FACES, &[("apikey", "demo"), FORM, ("Transfer-Encoding", "chunked")], b"");
    let body = multipart(&[("name=\"other\"", &"x".repeat(1_100_000))]);
    chunked.extend(format!("{:x}\r\n", body.len()).bytes());
    chunked.extend(body);
    chunked.extend(b"\r\n0\r\n\r\n");
    assert_eq!(exchange(gateway.address, &chunked).await.error().0, 413);
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
}

#[tokio::test]
async fn too_many_parts_and_endless_part_headers_are_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let parts = vec![("unknown", "x"); 101];
    let (status, message) = post(gateway.address, "/bioserver-app/v2/faces", &parts).await.error();
    assert_eq!((status, message.as_str()), (400, "more than 100 parts"));
    let body = format!("--b\r\nX-Long: {}", "x".repeat(100_000));
    let answer = crate::client::post_body(gateway.address, "/bioserver-app/v2/faces", body.as_bytes()).await;
    let (status, message) = answer.error();
    assert_eq!(status, 400);
    assert!(message.contains("headers of a part"), "{message}");
}

#[tokio::test]
async fn a_key_that_sends_too_fast_is_told_when_to_come_again() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 1;
    })
    .await;
    let good = [("imageType", "SELFIE"), ("image", "x")];
    let path = "/bioserver-app/v2/faces";
    let answers = [post(gateway.address, path, &good).await, post(gateway.address, path, &good).await];
    assert_eq!(answers[0].status, 200);
    assert_eq!(answers[1].error(), (429, "the request rate of this key is exceeded".into()));
    assert_eq!(answers[1].header("retry-after"), Some("1"));
    counted(&gateway, r#"faceline_http_refusals_total{cause="client_rate",operation="create_face"} 1"#);
}

#[tokio::test]
async fn a_client_with_its_share_in_flight_waits_for_its_own_answers() {
    let gateway = Gateway::with(Workers::held(), |config| {
        config.limits.inflight_jobs = 2;
        config.limits.client_share = 0.5;
    })
    .await;
    let address = gateway.address;
    let path = "/bioserver-app/v2/faces";
    let first =
        tokio::spawn(async move { post(address, path, &[("imageType", "SELFIE"), ("image", "x")]).await });
    gateway.workers.arrived.notified().await;
    let (status, message) = post(address, path, &[("imageType", "SELFIE"), ("image", "x")]).await.error();
    assert_eq!((status, message.as_str()), (429, "this client has too many requests in progress"));
    gateway.workers.permits.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);
    counted(&gateway, "faceline_gateway_inflight_jobs 0");
}

#[tokio::test]
async fn without_a_broker_bodies_are_not_read() {
    let gateway = Gateway::start(Workers::able()).await;
    gateway.workers.connected.store(false, Ordering::Relaxed);
    // The request announces a body and never sends it.
    let head = [("apikey", "demo"), FORM, ("Content-Length", "1000")];
    let answer = send(&gateway, FACES, &head).await;
    assert_eq!(
        answer.error(),
        (503, "the service is temporarily unavailable, please try again shortly".into())
    );
}
