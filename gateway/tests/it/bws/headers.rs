//! The headers that BWS adds to every answer, errors included.

use std::sync::atomic::Ordering;

use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::{
    CALL_DETECT, CALL_DETECT_VIDEO, DETECT, DETECT_VIDEO, authorization, call_as_demo, detection, framed,
    json_of,
};
use crate::client::{Answer, exchange, request, send};
use crate::gateway::Gateway;
use crate::workers::Workers;

const NAMES: [&str; 4] = ["jobid", "bws-version", "response-time-ms", "reference-number"];

/// Checks the values of [`NAMES`].
fn check<'a>(context: &str, header: impl Fn(&str) -> Option<&'a str>) {
    let value = |name: &str| header(name).unwrap_or_else(|| panic!("{context}: no {name}"));
    assert!(value("jobid").parse::<Uuid>().is_ok(), "{context}");
    assert_eq!(value("bws-version"), env!("CARGO_PKG_VERSION"), "{context}");
    assert!(value("response-time-ms").parse::<u64>().is_ok(), "{context}");
    assert_eq!(value("reference-number"), "job 17", "{context}");
}

#[tokio::test]
async fn errors_over_grpc_have_them() {
    let gateway = Gateway::start(Workers::able()).await;
    let unknown = "/bioid.services.v1.BioIDWebService/Unknown";
    let good = framed(&detection(&["one"]));
    for (path, header, body, code) in [
        (CALL_DETECT, ("authorization", "Bearer x"), good.clone(), Code::Unauthenticated),
        (CALL_DETECT, ("grpc-encoding", "zstd"), good.clone(), Code::Unimplemented),
        (CALL_DETECT, ("grpc-timeout", "soon"), good.clone(), Code::InvalidArgument),
        (CALL_DETECT, ("x", "y"), framed(&detection(&[])), Code::InvalidArgument),
        (CALL_DETECT_VIDEO, ("x", "y"), good.slice(..0), Code::InvalidArgument),
        (unknown, ("x", "y"), good.clone(), Code::Unimplemented),
    ] {
        let answer = call_as_demo(&gateway, path, &[header, ("reference-number", "job 17")], body).await;
        assert_eq!(answer.grpc().code(), code, "{path} {header:?}");
        check(&format!("{path} {header:?}"), |name| answer.headers.get(name)?.to_str().ok());
    }
    gateway.workers.connected.store(false, Ordering::Relaxed);
    let answer = call_as_demo(&gateway, CALL_DETECT, &[("reference-number", "job 17")], good).await;
    assert_eq!(answer.grpc().code(), Code::Unavailable);
    check("outage", |name| answer.headers.get(name)?.to_str().ok());
}

/// POSTs JSON with a reference number.
async fn post(gateway: &Gateway, path: &str, authorization: &str, body: &str) -> Answer {
    let headers = [
        ("Authorization", authorization),
        ("Content-Type", "application/json"),
        ("Reference-Number", "job 17"),
    ];
    send(gateway.address, &format!("POST {path}"), &headers, body.as_bytes()).await
}

#[tokio::test]
async fn errors_over_rest_have_them_and_no_other_family_has() {
    let gateway = Gateway::start(Workers::able()).await;
    let (known, body) = (authorization(), json_of(&["one"]).to_string());
    for (path, authorization, body, status) in [
        (DETECT, "Bearer x", &body[..], 401),
        (DETECT, &known, "{", 400),
        (DETECT, &known, "{}", 400),
        (DETECT_VIDEO, &known, "{}", 400),
        ("/api/v1/unknown", &known, "", 404),
        (DETECT, &known, &body, 200),
    ] {
        let answer = post(&gateway, path, authorization, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        check(path, |name| answer.header(name));
    }
    gateway.workers.connected.store(false, Ordering::Relaxed);
    let answer = post(&gateway, DETECT, &known, &body).await;
    assert_eq!(answer.status, 503);
    check("outage", |name| answer.header(name));
    let get = request(&format!("GET {DETECT}"), &[("Reference-Number", "job 17")], b"");
    let answer = exchange(gateway.address, &get).await;
    assert_eq!(answer.status, 405);
    check("a wrong method", |name| answer.header(name));
    for path in ["/bioserver-app/v2/faces", "/api/v1/face/liveness", "/nothing"] {
        let answer = post(&gateway, path, "", "{}").await;
        assert!(NAMES.iter().all(|name| answer.header(name).is_none()), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn the_id_of_a_refused_call_is_in_the_log() {
    let lines = crate::log::lines();
    let gateway = Gateway::start(Workers::able()).await;
    let answer = post(&gateway, DETECT, "Bearer x", "{}").await;
    let job = answer.header("jobid").unwrap();
    let line = lines.find(|line| {
        let text = line.to_string();
        text.contains(job) && text.contains("unauthenticated")
    });
    assert!(line.is_some(), "no line has {job}");
}

#[tokio::test]
async fn pages_may_read_them() {
    let origin = "https://app.example";
    let gateway =
        Gateway::with(Workers::able(), |config| config.http.cors_origins = vec![origin.into()]).await;
    let answer = exchange(gateway.address, &request("GET /livez", &[("Origin", origin)], b"")).await;
    let exposed = answer.header("access-control-expose-headers").unwrap();
    let exposed: Vec<_> = exposed.split(',').map(str::trim).collect();
    let others = ["location", "retry-after", "x-request-id", "ratelimit-limit", "ratelimit-remaining"];
    for name in NAMES.iter().chain(&others).chain(&["ratelimit-reset", "ratelimit-policy"]) {
        assert!(exposed.contains(name), "{name}: {exposed:?}");
    }
}

#[tokio::test]
async fn json_may_begin_with_a_byte_order_mark() {
    let gateway = Gateway::start(Workers::able()).await;
    let body = format!("\u{feff}{}", json_of(&["one"]));
    let answer = post(&gateway, DETECT, &authorization(), &body).await;
    assert_eq!((answer.status, &answer.json()["live"]), (200, &json!(true)), "{answer:?}");
}
