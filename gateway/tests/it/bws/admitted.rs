//! Admission based on the headers alone, callers' deadlines, and the capacity that a disconnected caller frees.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use faceline_gateway::usage::UsageRecord;
use futures_util::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tonic::Code;

use super::{
    CALL_DETECT, CALL_DETECT_VIDEO, DETECT, VERIFY, authorization, call, call_as_demo, client, counted,
    detection, framed, json_of, post, refused,
};
use crate::gateway::Gateway;
use crate::workers::Workers;

/// A body of which only the first part arrives.
fn endless(start: &'static [u8]) -> impl hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin {
    let first = Frame::data(Bytes::from_static(start));
    StreamBody::new(Box::pin(stream::iter([Ok(first)]).chain(stream::pending())))
}

/// A call as the demo account whose body never ends.
async fn announced(gateway: &Gateway, headers: &[(&str, &str)]) -> tonic::Status {
    let authorization = authorization();
    let own = [("authorization", authorization.as_str()), ("content-type", "application/grpc")];
    call(gateway.address, CALL_DETECT, &[&own, headers].concat(), endless(b"\0\0\0")).await.grpc()
}

#[tokio::test]
async fn a_refused_call_is_answered_before_its_body_has_come() {
    let gateway = Gateway::start(Workers::able()).await;
    for authorization in ["Bearer x.y.z", "Basic ZGVtbzpkZW1v"] {
        let headers = [("authorization", authorization), ("content-type", "application/grpc")];
        let answer = call(gateway.address, CALL_DETECT, &headers, endless(b"")).await;
        assert_eq!((answer.status, answer.grpc().code()), (200, Code::Unauthenticated));
    }
    gateway.workers.connected.store(false, Ordering::Relaxed);
    assert_eq!(announced(&gateway, &[]).await.code(), Code::Unavailable);
    counted(&gateway, r#"faceline_http_requests_total{operation="liveness_detection",status="503"} 1"#);
    counted(
        &gateway,
        r#"faceline_http_refusals_total{cause="broker_unreachable",operation="liveness_detection"} 1"#,
    );
    let answer = post(&gateway, DETECT, &json_of(&["one"])).await;
    assert_eq!((refused(&answer).0, refused(&answer).1), (503, 14));
}

#[tokio::test]
async fn a_key_that_calls_too_fast_is_told_when_to_come_again() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.limits.requests_per_second = 1;
        config.limits.burst = 1;
    })
    .await;
    let body = framed(&detection(&["one"]));
    assert_eq!(call_as_demo(&gateway, CALL_DETECT, &[], body.clone()).await.grpc().code(), Code::Ok);
    let second = call_as_demo(&gateway, CALL_DETECT, &[], body).await;
    assert_eq!(second.grpc().code(), Code::ResourceExhausted);
    assert_eq!(second.headers["ratelimit-remaining"], "0");
    let answer = post(&gateway, VERIFY, &json_of(&["one"])).await;
    assert_eq!(refused(&answer), (429, 8, "the request rate of this key is exceeded".into()));
}

#[tokio::test]
async fn a_full_gateway_and_a_clients_share_differ() {
    for (share, expected, status) in [(0.5, Code::ResourceExhausted, 429), (1.0, Code::Unavailable, 503)] {
        let gateway = Gateway::with(Workers::held(), |config| {
            config.limits.inflight_jobs = if share < 1.0 { 2 } else { 1 };
            config.limits.client_share = share;
        })
        .await;
        let mut first = client(&gateway).await;
        let first = tokio::spawn(async move { first.liveness_detection(detection(&["one"])).await });
        gateway.workers.arrived.notified().await;
        let second = call_as_demo(&gateway, CALL_DETECT, &[], framed(&detection(&["one"]))).await;
        assert_eq!(second.grpc().code(), expected);
        let answer = post(&gateway, DETECT, &json_of(&["one"])).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, expected as u64));
        gateway.workers.permits.add_permits(1);
        assert!(first.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_callers_deadline_goes_down_to_the_queue() {
    let gateway = Gateway::start(Workers::able()).await;
    let own = gateway.config.jobs.deadline;
    for (timeout, is_callers) in [("2S", true), ("1500m", true), ("2H", false)] {
        let body = framed(&detection(&["one"]));
        let answer = call_as_demo(&gateway, CALL_DETECT, &[("grpc-timeout", timeout)], body).await;
        assert_eq!(answer.grpc().code(), Code::Ok);
        let jobs = gateway.workers.jobs.lock().unwrap();
        let job = jobs.last().unwrap();
        assert_eq!(job.callers_own_deadline, is_callers, "{timeout}");
        if is_callers {
            assert!(job.budget <= Duration::from_secs(2), "{:?}", job.budget);
        } else {
            assert_eq!(job.budget, own);
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_within_the_deadline_ends_the_call() {
    let gateway = Gateway::start(Workers::able()).await;
    let status = announced(&gateway, &[("grpc-timeout", "50m")]).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let frees = || {
        let metrics = gateway.metrics.encode();
        ["jobs 0", "bytes 0"]
            .iter()
            .all(|what| metrics.contains(&format!("faceline_gateway_inflight_{what}")))
    };
    assert!(frees());
    assert!(gateway.workers.jobs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_caller_that_cancels_frees_its_place_at_once() {
    let gateway = Gateway::with(Workers::held(), |config| {
        config.limits.inflight_jobs = 1;
        config.limits.client_share = 1.0;
    })
    .await;
    let mut leaving = client(&gateway).await;
    let leaving = tokio::spawn(async move { leaving.liveness_detection(detection(&["one"])).await });
    gateway.workers.arrived.notified().await;
    counted(&gateway, "faceline_gateway_inflight_jobs 1");
    leaving.abort();
    // The gateway drops the job, and frees the capacity that it held.
    gateway.workers.given_up.notified().await;
    gateway.until(async || gateway.metrics.encode().contains("faceline_gateway_inflight_jobs 0")).await;
    counted(&gateway, "faceline_gateway_inflight_bytes 0");
    gateway
        .until(async || {
            let left = r#"faceline_http_requests_total{operation="liveness_detection",status="499"} 1"#;
            gateway.metrics.encode().contains(left)
        })
        .await;
    gateway.workers.permits.add_permits(1);
    assert!(client(&gateway).await.liveness_detection(detection(&["one"])).await.is_ok());
}

/// The usage records of a gateway, once it has `count` of them.
async fn records(gateway: &Gateway, count: usize) -> Vec<UsageRecord> {
    let objects = gateway.stores.sealed_objects();
    let mut records = Vec::new();
    gateway
        .until(async || {
            records.clear();
            for key in objects.list("usage").await.unwrap() {
                let bytes = objects.get("usage", &key).await.unwrap().unwrap();
                records.extend(rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).unwrap());
            }
            records.len() >= count
        })
        .await;
    records.sort_by_key(|record| (record.time, record.id));
    records
}

#[tokio::test]
async fn both_ways_are_recorded_alike() {
    let gateway =
        Gateway::with(Workers::able(), |config| config.usage.interval = Duration::from_millis(50)).await;
    let reference = [("reference-number", "job 17")];
    let good = call_as_demo(&gateway, CALL_DETECT, &reference, framed(&detection(&["one"]))).await;
    let bad = call_as_demo(&gateway, CALL_DETECT, &[], framed(&detection(&[]))).await;
    assert_eq!(bad.grpc().code(), Code::InvalidArgument);
    call_as_demo(&gateway, CALL_DETECT_VIDEO, &[], Bytes::new()).await;
    let rest = post(&gateway, VERIFY, &json_of(&["one"])).await;
    // These requests received no service.
    call_as_demo(&gateway, CALL_DETECT, &[("authorization", "Bearer x")], Bytes::new()).await;
    gateway.workers.connected.store(false, Ordering::Relaxed);
    assert_eq!(announced(&gateway, &[]).await.code(), Code::Unavailable);

    let records = records(&gateway, 4).await;
    let said: Vec<_> = records
        .iter()
        .map(|record| (record.operation.as_str(), record.status, record.outcome.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("liveness_detection", 200, "ok"),
            ("liveness_detection", 400, "invalid"),
            ("video_liveness_detection", 400, "invalid"),
            ("photo_verify", 200, "ok"),
        ]
    );
    assert!(records.iter().all(|record| record.family == "bws" && record.client == "demo"));
    assert_eq!(records[0].reference_number.as_deref(), Some("job 17"));
    let job = |at: usize| records[at].job.unwrap().to_string();
    assert_eq!(job(0), good.trailers["jobid"].to_str().unwrap());
    assert_eq!(Some(job(3).as_str()), rest.header("jobid"));
}
