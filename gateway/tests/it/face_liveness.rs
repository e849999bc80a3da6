//! Face Liveness: every answer, code and status of its specification.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faceline_gateway::families::face_liveness::PictureFault;
use faceline_gateway::fault::{BusyCause, Fault};
use faceline_gateway::jobs::{JobRequest, SubmitError};
use faceline_gateway::usage::UsageRecord;
use faceline_shared::face::Eyes;
use faceline_shared::job::Task;
use faceline_shared::job::examination::{Check, Examined, ExaminedFace, ExaminedPicture, Finding};
use faceline_shared::job::{JobFailure, JobResult, Subject};
use faceline_shared::settings::Settings;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{Answer, exchange, read_one, request, send};
use crate::gateway::Gateway;
use crate::log;
use crate::pictures::{Pictures, Reply, answer, jpeg, redirection};
use crate::workers::{Workers, living};

const LINE: &str = "POST /api/v1/face/liveness";
/// `demo:demo`.
const DEMO: (&str, &str) = ("Authorization", "Basic ZGVtbzpkZW1v");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const SESSION: &str = "bbbf9002-c3a2-4308-b103-d80b9f5a2b84";

async fn post(gateway: &Gateway, body: &str) -> Answer {
    send(gateway.address, LINE, &[DEMO, JSON], body.as_bytes()).await
}

/// Sends `picture` with a session id.
async fn ask(gateway: &Gateway, picture: &str) -> Answer {
    post(gateway, &json!({"faceImageBase": picture, "sessionId": SESSION}).to_string()).await
}

/// The error of an answer that has the session of [`ask`].
fn with_session(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.json()["sessionId"], SESSION, "{answer:?}");
    answer.liveness_error()
}

fn without_session(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.json().get("sessionId"), None, "{answer:?}");
    answer.liveness_error()
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The pictures of all jobs so far.
fn pictures_of_jobs(gateway: &Gateway) -> Vec<Vec<u8>> {
    let jobs = gateway.workers.jobs.lock().unwrap();
    let picture = |job: &JobRequest| match &job.task {
        Task::Examine(examination) => {
            assert!(examination.liveness && examination.photo.is_none() && examination.challenge.is_empty());
            let [picture] = examination.live.as_slice() else { panic!("{examination:?}") };
            picture.to_vec()
        }
        other => panic!("{other:?}"),
    };
    jobs.iter().map(picture).collect()
}

fn face(liveness: Option<f32>) -> ExaminedFace {
    ExaminedFace { eyes: Eyes { x1: 1.0, y1: 2.0, x2: 3.0, y2: 2.0 }, liveness }
}

/// Workers with this result for every picture.
fn finding(faces: Vec<ExaminedFace>, checks: &[Check]) -> Arc<Workers> {
    let findings = checks.iter().map(|check| Finding { check: *check, score: 0.25 }).collect();
    let picture = ExaminedPicture { rotated: 0, faces, quality: 0.5, findings };
    Workers::new(move |job| {
        let Task::Examine(examination) = &job.task else { panic!("{job:?}") };
        Ok(JobResult::Examined(Box::new(Examined { live: vec![picture.clone()], ..living(examination) })))
    })
}

#[tokio::test]
async fn a_picture_has_a_score() {
    for (score, written) in [(0.9997104, "0.9997104"), (0.002324, "0.002324"), (0.75, "0.75"), (1.0, "1")] {
        let gateway = Gateway::start(finding(vec![face(Some(score))], &[])).await;
        let answer = ask(&gateway, "AAECAw==").await;
        let expected = format!(r#"{{"sessionId":"{SESSION}","score":{written},"hasError":false}}"#);
        assert_eq!((answer.status, &answer.body), (200, &expected));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let bare = post(&gateway, r#"{"faceImageBase":"AAECAw=="}"#).await;
        assert_eq!(bare.body, format!(r#"{{"score":{written},"hasError":false}}"#));
        assert_eq!(pictures_of_jobs(&gateway), [[0, 1, 2, 3], [0, 1, 2, 3]]);
    }
}

#[tokio::test]
async fn each_verdict_is_counted() {
    for (workers, counted) in [
        (finding(vec![face(Some(0.75))], &[]), r#"reason="none",verdict="accepted""#),
        (finding(vec![face(Some(0.25))], &[]), r#"reason="none",verdict="rejected""#),
        (finding(Vec::new(), &[]), r#"reason="FACE_NOT_FOUND",verdict="not_judged""#),
    ] {
        let gateway = Gateway::start(workers).await;
        ask(&gateway, "AAECAw==").await;
        let text = gateway.metrics.encode();
        let line = format!(r#"faceline_biometric_verdicts_total{{operation="face_liveness",{counted}}} 1"#);
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test]
async fn a_picture_may_be_written_as_clients_do() {
    let gateway = Gateway::start(Workers::able()).await;
    for picture in [
        "+/8A",
        "-_8A",
        "+/8\r\nA\n",
        "data:image/jpeg;base64,+/8A",
        "data:image/png;base64,-_8A",
        "data:;base64,+/8A",
    ] {
        assert_eq!(ask(&gateway, picture).await.status, 200, "{picture}");
    }
    // Slashes are escaped as PHP does, there are unknown members, and there is no session.
    let body = r#"{"other":[{}],"faceImageBase":"+\/8A","sessionId":null}"#;
    assert_eq!(post(&gateway, body).await.body, r#"{"score":0.75,"hasError":false}"#);
    assert!(pictures_of_jobs(&gateway).iter().all(|picture| picture == &[0xfb, 0xff, 0x00]));
}

#[tokio::test]
async fn each_fault_of_a_picture_has_its_code() {
    let mut codes = Vec::new();
    let mut check = async |workers: Arc<Workers>, code: &'static str| {
        let gateway = Gateway::start(workers).await;
        let answer = ask(&gateway, "AAAA").await;
        let expected = format!(r#"{{"sessionId":"{SESSION}","hasError":true,"error":"{code}"}}"#);
        assert_eq!((answer.status, &answer.body), (200, &expected));
        codes.push(code);
    };
    let one = || vec![face(None)];
    check(finding(vec![], &[]), "FACE_NOT_FOUND").await;
    check(finding(vec![], &[Check::FaceTooSmall]), "FACE_NOT_FOUND").await;
    check(finding(vec![face(None); 2], &[Check::FaceCropped]), "TOO_MANY_FACES").await;
    for (finds, code) in [
        (Check::FaceCropped, "FACE_CROPPED"),
        (Check::FaceTooClose, "FACE_TOO_CLOSE"),
        (Check::FaceCloseToBorder, "FACE_CLOSE_TO_BORDER"),
        (Check::FaceTooSmall, "FACE_TOO_SMALL"),
        (Check::FaceTurnedAway, "FACE_ANGLE_TOO_LARGE"),
        (Check::FaceCovered, "FACE_IS_OCCLUDED"),
        (Check::FaceExposure, "FACE_NOT_FOUND"),
        (Check::FaceBlurred, "FACE_NOT_FOUND"),
    ] {
        check(finding(one(), &[Check::ImageSize, finds]), code).await;
    }
    // The first finding counts.
    check(finding(one(), &[Check::FaceTooSmall, Check::FaceBlurred]), "FACE_TOO_SMALL").await;
    let failing = |failure: JobFailure| Workers::new(move |_| Err(SubmitError::Failed(failure.clone())));
    let subject = Subject::Live(0);
    check(failing(JobFailure::BadPicture { subject, reason: "no JPEG".into() }), "INVALID_IMAGE").await;
    check(failing(JobFailure::SeveralFaces { subject }), "TOO_MANY_FACES").await;
    check(failing(JobFailure::NoFace { subject }), "FACE_NOT_FOUND").await;
    for fault in PictureFault::ALL {
        assert!(codes.contains(&fault.code()), "{fault:?} is not tested");
    }
    let gateway = Gateway::start(finding(vec![face(Some(0.5))], &[Check::ImageSize])).await;
    assert_eq!(ask(&gateway, "AAAA").await.json()["score"], 0.5, "a picture that is too large is judged");
}

#[tokio::test]
async fn a_request_that_is_not_of_the_form_is_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        r#"{"faceImageBase":"AAAA","sessionId":17}"#,
        r#"{"faceImageBase":"AAAA","sessionId":{}}"#,
        r#"{"faceImageBase":"AAAA","sessionId":"a","sessionId":"b"}"#,
        "{}",
    ] {
        assert_eq!(without_session(&post(&gateway, body).await), is(400, "INVALID_REQUEST"), "{body}");
    }
    for picture in
        ["", "%", "A", "data:image/jpeg;base64,", "data:image/jpeg,AAAA", "http://", "https://[::1"]
    {
        assert_eq!(with_session(&ask(&gateway, picture).await), is(400, "INVALID_REQUEST"), "{picture}");
    }
    for picture in ["17", "null", "[]"] {
        let body = format!(r#"{{"sessionId":"{SESSION}","faceImageBase":{picture}}}"#);
        assert_eq!(with_session(&post(&gateway, &body).await), is(400, "INVALID_REQUEST"), "{picture}");
    }
    let long = json!({"faceImageBase": "AAAA", "sessionId": "x".repeat(1025)}).to_string();
    assert_eq!(without_session(&post(&gateway, &long).await), is(400, "INVALID_REQUEST"));
    for headers in [
        &[DEMO][..],
        &[DEMO, ("Content-Type", "text/plain")],
        &[DEMO, ("Content-Type", "multipart/form-data; boundary=b")],
        &[DEMO, JSON, ("Content-Encoding", "gzip")],
    ] {
        let answer = send(gateway.address, LINE, headers, br#"{"faceImageBase":"AAAA"}"#).await;
        assert_eq!(without_session(&answer), is(400, "INVALID_REQUEST"), "{headers:?}");
    }
    assert_eq!(pictures_of_jobs(&gateway), [[0; 0]; 0]);
    let longest = "ü".repeat(512);
    let body = json!({"faceImageBase": "AAAA", "sessionId": longest}).to_string();
    assert_eq!(post(&gateway, &body).await.json()["sessionId"], longest);
}

#[tokio::test]
async fn who_shows_no_password_is_asked_for_one() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.failed_logins = 2).await;
    for credential in [
        None,
        Some(("Authorization", "Bearer ZGVtbzpkZW1v")),
        Some(("Authorization", "Basic")),
        Some(("Authorization", "Basic %%%")),
        // A key of another kind.
        Some(("apikey", "demo")),
    ] {
        let headers: Vec<_> = credential.into_iter().chain([JSON]).collect();
        // The request announces a body, and never sends it.
        let head = [&headers[..], &[("Content-Length", "1000")]].concat();
        let answer = send(gateway.address, LINE, &head, b"").await;
        assert_eq!(without_session(&answer), is(401, "UNAUTHORIZED"), "{credential:?}");
        assert_eq!(answer.header("www-authenticate"), Some("basic realm=\"faceline\""));
    }
    // `demo:wrong`, and `nobody:demo`: these two count as failed attempts.
    for wrong in ["Basic ZGVtbzp3cm9uZw==", "Basic bm9ib2R5OmRlbW8="] {
        let answer = send(gateway.address, LINE, &[("Authorization", wrong), JSON], b"{}").await;
        assert_eq!(without_session(&answer), is(401, "UNAUTHORIZED"), "{wrong}");
    }
    // From now on the gateway checks no password.
    assert_eq!(without_session(&ask_without_session(&gateway).await), is(429, "TOO_MANY_REQUESTS"));
    // The correct password is valid for this family only.
    let other = send(gateway.address, "GET /bioserver-app/v2/capabilities", &[DEMO], b"").await;
    assert_eq!(other.error().0, 401);
}

async fn ask_without_session(gateway: &Gateway) -> Answer {
    post(gateway, r#"{"faceImageBase":"AAAA"}"#).await
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_the_form_of_this_family() {
    let gateway = Gateway::start(Workers::able()).await;
    for path in ["/api/v1/face/", "/api/v1/face/nothing", "/api/v1/face/liveness/"] {
        let answer = send(gateway.address, &format!("POST {path}"), &[DEMO, JSON], b"{}").await;
        assert_eq!(without_session(&answer), is(404, "NOT_FOUND"), "{path}");
    }
    let got = send(gateway.address, "GET /api/v1/face/liveness", &[DEMO], b"").await;
    assert_eq!(without_session(&got), is(405, "METHOD_NOT_ALLOWED"));
    assert_eq!(got.header("allow"), Some("post"));
}

#[tokio::test]
async fn a_picture_and_a_body_are_as_long_as_they_may_be() {
    let gateway = Gateway::with(Workers::able(), |config| config.limits.picture_bytes = 1000).await;
    let of = |length| base64_simd::STANDARD.encode_to_string(vec![7; length]);
    assert_eq!(ask(&gateway, &of(1000)).await.status, 200);
    assert_eq!(with_session(&ask(&gateway, &of(1001)).await), is(413, "REQUEST_TOO_LARGE"));
    // `Content-Length` is enough.
    let head = [DEMO, JSON, ("Content-Length", "1050000")];
    let announced = send(gateway.address, LINE, &head, b"").await;
    assert_eq!(without_session(&announced), is(413, "REQUEST_TOO_LARGE"));
    // The length is unknown, so the gateway detects the excess while the body arrives.
    let mut chunked = request(LINE, &[DEMO, JSON, ("Transfer-Encoding", "chunked")], b"");
    chunked.extend(format!("{:x}\r\n{}\r\n0\r\n\r\n", 1_100_000, " ".repeat(1_100_000)).bytes());
    assert_eq!(without_session(&exchange(gateway.address, &chunked).await), is(413, "REQUEST_TOO_LARGE"));
    let text = gateway.metrics.encode();
    assert!(text.contains("faceline_gateway_inflight_bytes 0"), "{text}");
}

#[tokio::test]
async fn a_body_takes_its_room_at_once() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.picture_bytes = 1 << 20;
        config.limits.inflight_bytes = 8 << 20;
        config.limits.client_share = 1.0;
    })
    .await;
    // A body of 1.2 MB accounts for 2.4 times its size, and twice that, because this process also keeps the sealed
    // copy.
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = [DEMO, JSON, ("Expect", "100-continue"), ("Content-Length", "1200000")];
    stream.write_all(&request(LINE, &head, b"")).await.unwrap();
    gateway
        .until(async || gateway.metrics.encode().contains("faceline_gateway_inflight_bytes 5760000"))
        .await;
    let refused = send(gateway.address, LINE, &[DEMO, JSON, ("Content-Length", "1200000")], b"").await;
    assert_eq!(without_session(&refused), is(429, "TOO_MANY_REQUESTS"));
    drop(stream);
    gateway.until(async || gateway.metrics.encode().contains("faceline_gateway_inflight_bytes 0")).await;
}

#[tokio::test]
async fn who_sends_too_fast_is_told_when_to_come_again() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 1;
    })
    .await;
    let first = ask(&gateway, "AAAA").await;
    assert_eq!((first.status, first.header("ratelimit-limit")), (200, Some("1")));
    assert_eq!(without_session(&ask_without_session(&gateway).await), is(429, "TOO_MANY_REQUESTS"));
}

#[tokio::test]
async fn what_is_not_the_callers_fault_is_said_so() {
    for (error, expected) in [
        (SubmitError::Busy(BusyCause::QueueFull), is(429, "TOO_MANY_REQUESTS")),
        (SubmitError::Busy(BusyCause::NoWorker), is(429, "TOO_MANY_REQUESTS")),
        (SubmitError::Failed(JobFailure::Expired { age_ms: 1 }), is(429, "TOO_MANY_REQUESTS")),
        (SubmitError::Busy(BusyCause::BrokerUnreachable), is(503, "SERVICE_UNAVAILABLE")),
        (SubmitError::Fault(Fault::DeadlineRunning { callers_own: false }), is(500, "INTERNAL_ERROR")),
        (SubmitError::Failed(JobFailure::Internal), is(500, "INTERNAL_ERROR")),
        (SubmitError::Failed(JobFailure::Poison { attempts: 3 }), is(500, "INTERNAL_ERROR")),
    ] {
        let failing = error.clone();
        let gateway = Gateway::start(Workers::new(move |_| Err(failing.clone()))).await;
        assert_eq!(with_session(&ask(&gateway, "AAAA").await), expected, "{error:?}");
    }
    // Results of another kind of job.
    let other = Gateway::start(Workers::new(|_| Ok(JobResult::Ranked(vec![])))).await;
    assert_eq!(with_session(&ask(&other, "AAAA").await), is(500, "INTERNAL_ERROR"));
    let judged_nobody = Gateway::start(finding(vec![face(None)], &[])).await;
    assert_eq!(with_session(&ask(&judged_nobody, "AAAA").await), is(500, "INTERNAL_ERROR"));
    let panicking = Gateway::start(Workers::new(|_| panic!("on purpose"))).await;
    assert_eq!(without_session(&ask_without_session(&panicking).await), is(500, "INTERNAL_ERROR"));
}

#[tokio::test]
async fn without_a_broker_bodies_are_not_read() {
    let gateway = Gateway::start(Workers::able()).await;
    gateway.workers.connected.store(false, Ordering::Relaxed);
    let answer = send(gateway.address, LINE, &[DEMO, JSON, ("Content-Length", "1000")], b"").await;
    assert_eq!(without_session(&answer), is(503, "SERVICE_UNAVAILABLE"));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.http.body_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = request(LINE, &[DEMO, JSON, ("Content-Length", "1000")], b"");
    stream.write_all(&[&head[..], b"{"].concat()).await.unwrap();
    assert_eq!(without_session(&read_one(&mut stream).await), is(408, "REQUEST_TIMEOUT"));
}

#[tokio::test]
async fn a_refusal_is_found_in_the_log_by_the_requests_id() {
    let lines = log::lines();
    let gateway = Gateway::start(Workers::able()).await;
    let headers = [DEMO, JSON, ("X-Request-Id", "liveness-in-the-log")];
    let answer = send(gateway.address, LINE, &headers, br#"{"faceImageBase":"%"}"#).await;
    assert_eq!(answer.header("x-request-id"), Some("liveness-in-the-log"));
    let line = lines
        .find(|line| {
            line["message"] == "`faceImageBase` is neither base64 nor a URL"
                && line["span"]["request_id"] == "liveness-in-the-log"
        })
        .unwrap();
    assert!(line["error_id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok(), "{line}");
    assert_eq!((&line["cause"], &line["span"]["client"]), (&json!("invalid"), &json!("demo")), "{line}");
}

#[tokio::test]
async fn a_session_is_the_correlation_of_its_usage_record() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.usage.interval = Duration::from_millis(50)).await;
    assert_eq!(ask(&gateway, "AAAA").await.status, 200);
    let objects = gateway.stores.sealed_objects();
    let mut records: Vec<UsageRecord> = Vec::new();
    gateway
        .until(async || {
            records.clear();
            for key in objects.list("usage").await.unwrap() {
                let bytes = objects.get("usage", &key).await.unwrap().unwrap();
                records.extend(rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).unwrap());
            }
            !records.is_empty()
        })
        .await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&*record.family, &*record.operation), ("face_liveness", "face_liveness"));
    assert_eq!((&*record.outcome, record.status), ("ok", 200));
    assert_eq!(record.correlation_id.as_deref(), Some(SESSION));
    assert_eq!(record.job, Some(gateway.workers.jobs.lock().unwrap()[0].id));
}

/// Settings that allow picture URLs of a local host.
fn allow(config: &mut Settings, pictures: &Pictures) {
    config.url_input.hosts = vec![pictures.address.to_string().parse().unwrap()];
    config.url_input.allowed_networks = vec!["127.0.0.1".parse().unwrap()];
}

#[tokio::test]
async fn urls_are_not_followed_until_hosts_are_allowed() {
    let gateway = Gateway::start(Workers::able()).await;
    for url in ["http://127.0.0.1:1/", "https://pictures.example/a.jpg", "file:///etc/passwd", "ftp://a/b"] {
        assert_eq!(with_session(&ask(&gateway, url).await), is(400, "URL_NOT_ALLOWED"), "{url}");
    }
    let text = gateway.metrics.encode();
    let counted = r#"faceline_http_refusals_total{cause="url_not_allowed",operation="face_liveness"} 4"#;
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn a_picture_is_fetched_from_where_it_may_be() {
    let pictures = Pictures::start(|head| match head.split(' ').nth(1).unwrap() {
        "/picture?a=b" => Reply::Bytes(jpeg(b"a picture")),
        "/moved" => Reply::Bytes(redirection("/picture?a=b")),
        "/away" => Reply::Bytes(redirection("http://169.254.169.254/")),
        "/page" => Reply::Bytes(answer("200 OK", &["Content-Type: text/html"], b"<html>")),
        "/long" => Reply::Bytes(jpeg(&[7; 1001])),
        "/silent" => Reply::Silence,
        _ => Reply::Bytes(answer("404 Not Found", &["Content-Type: image/png"], b"x")),
    })
    .await;
    let gateway = Gateway::with(Workers::able(), |config| {
        allow(config, &pictures);
        config.limits.picture_bytes = 1000;
        config.url_input.timeout = Duration::from_secs(30);
    })
    .await;
    let at = |path: &str| format!("http://{}{path}", pictures.address);
    for path in ["/picture?a=b", "/moved"] {
        let answer = ask(&gateway, &at(path)).await;
        assert_eq!(answer.body, format!(r#"{{"sessionId":"{SESSION}","score":0.75,"hasError":false}}"#));
    }
    assert_eq!(pictures_of_jobs(&gateway), [b"a picture", b"a picture"]);
    for (path, expected) in [
        ("/away", is(400, "URL_NOT_ALLOWED")),
        ("/page", is(200, "INVALID_IMAGE")),
        ("/nothing", is(200, "INVALID_IMAGE")),
        ("/long", is(413, "REQUEST_TOO_LARGE")),
    ] {
        assert_eq!(with_session(&ask(&gateway, &at(path)).await), expected, "{path}");
    }
    let other = format!("http://localhost:{}/picture?a=b", pictures.port());
    assert_eq!(with_session(&ask(&gateway, &other).await), is(400, "URL_NOT_ALLOWED"));
    assert_eq!(pictures_of_jobs(&gateway).len(), 2);
    let hasty = Gateway::with(Workers::able(), |config| {
        allow(config, &pictures);
        config.url_input.timeout = Duration::from_millis(200);
    })
    .await;
    assert_eq!(with_session(&ask(&hasty, &at("/silent")).await), is(200, "INVALID_IMAGE"));
}

#[tokio::test]
async fn the_systems_names_are_looked_up() {
    let pictures = Pictures::fixed(jpeg(b"x")).await;
    let host = format!("localhost:{}", pictures.port());
    for (networks, expected) in [(&["127.0.0.0/8", "::1"][..], 200), (&[], 400)] {
        let gateway = Gateway::with(Workers::able(), |config| {
            config.url_input.hosts = vec![host.parse().unwrap()];
            config.url_input.allowed_networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        })
        .await;
        assert_eq!(ask(&gateway, &format!("http://{host}/")).await.status, expected, "{networks:?}");
    }
}

#[tokio::test]
async fn what_is_fetched_takes_room_and_time_of_its_request() {
    let pictures = Pictures::start(|head| {
        if head.starts_with("GET /silent ") { Reply::Silence } else { Reply::Bytes(jpeg(&[7; 300_000])) }
    })
    .await;
    let gateway = Gateway::with(Workers::held(), |config| {
        allow(config, &pictures);
        config.limits.picture_bytes = 1 << 20;
        config.limits.inflight_bytes = 1 << 20;
        config.limits.client_share = 1.0;
        config.url_input.concurrency = 1;
        config.url_input.timeout = Duration::from_secs(30);
    })
    .await;
    let address = gateway.address;
    let body = |path: &str| format!(r#"{{"faceImageBase":"http://{}{path}"}}"#, pictures.address);
    let sent = |path: &str| {
        let body = body(path);
        tokio::spawn(async move { send(address, LINE, &[DEMO, JSON], body.as_bytes()).await })
    };
    let first = sent("/picture");
    gateway.workers.arrived.notified().await;
    let job = gateway.workers.jobs.lock().unwrap()[0].clone();
    assert!(job.budget < gateway.config.jobs.deadline && !job.callers_own_deadline, "{job:?}");
    // 300,000 bytes are held twice: the limit leaves room for a request with a URL, but not for its picture.
    assert_eq!(without_session(&post(&gateway, &body("/picture")).await), is(429, "TOO_MANY_REQUESTS"));
    gateway.workers.permits.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);

    // The only fetch slot is taken, and becomes free when its caller disconnects.
    let silent = sent("/silent");
    gateway.until(async || pictures.heads().len() == 3).await;
    assert_eq!(without_session(&post(&gateway, &body("/picture")).await), is(429, "TOO_MANY_REQUESTS"));
    silent.abort();
    pictures.left().await;
    gateway.workers.permits.add_permits(1);
    assert_eq!(post(&gateway, &body("/picture")).await.status, 200);
}
