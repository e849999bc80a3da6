//! Traces: from the caller's `traceparent` to the worker's stages and the callback, in a collector of these tests.

mod collector;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use faceline_loadtest::capture::{Capture, CaptureClient, Recording, capture};
use faceline_shared::replay::LivenessType;
use faceline_shared::testkit::{PooledRabbitMq, Redis, TestAuthority, demo_token};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

use self::collector::{Collector, Received};
use crate::bws;
use crate::callback_receiver::CallbackReceiver;
use crate::client::{bytes, picture};
use crate::process::{ExclusiveRun, Process, ServerRun};

/// The caller's span.
const CALLER: &str = "b7ad6b7169203331";
/// The documentation of exported data, which must list every attribute.
const DOCUMENT: &str = include_str!("../../../../../docs/tracing.md");
/// Tolerance for times of different clocks of this machine, in nanoseconds. One of the clocks is monotonic.
const CLOCK_TOLERANCE: u64 = 5_000_000;

/// A `traceparent` of the trace whose id ends with `trace`.
fn parent(trace: u8, sampled: bool) -> String {
    format!("00-{}-{CALLER}-{:02x}", trace_id(trace), u8::from(sampled))
}

fn trace_id(trace: u8) -> String {
    format!("0af7651916cd43dd8448eb211c8031{trace:02x}")
}

/// `POST /faces` with these headers.
async fn face(url: &str, headers: &[(&str, &str)], image: Vec<u8>) -> reqwest::Response {
    let form = Form::new().part("image", Part::bytes(image)).text("imageType", "SELFIE");
    let request =
        reqwest::Client::new().post(format!("{url}/bioserver-app/v2/faces")).header("apikey", "demo");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.multipart(form).send().await.unwrap()
}

fn named<'s>(spans: &'s [Received], name: &str) -> &'s Received {
    let mut found = spans.iter().filter(|received| received.span.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no span is named {name}"));
    assert!(found.next().is_none(), "several spans are named {name}");
    first
}

/// Asserts that the spans form one tree below the caller's span, and that a child begins within its parent.
fn assert_one_tree(spans: &[Received], root: &str) {
    let by_id: BTreeMap<_, _> = spans.iter().map(|received| (received.id(), received)).collect();
    assert_eq!(by_id.len(), spans.len(), "two spans have the same id");
    for received in spans {
        let span = &received.span;
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        let Some(parent) = by_id.get(&received.parent()) else {
            assert_eq!((received.parent().as_str(), span.name.as_str()), (CALLER, root));
            continue;
        };
        assert!(span.start_time_unix_nano + CLOCK_TOLERANCE >= parent.span.start_time_unix_nano, "{span:?}");
        if span.kind == SpanKind::Internal as i32 {
            let end = parent.span.end_time_unix_nano + CLOCK_TOLERANCE;
            assert!(span.end_time_unix_nano <= end, "{span:?} outlives {:?}", parent.span);
        }
    }
}

/// Asserts that the worker's stages are within the span of the delivery, in their order.
fn assert_stages(spans: &[Received], queue: &str, stages: &[&str]) {
    let (sent, job) = (named(spans, &format!("send {queue}")), named(spans, &format!("process {queue}")));
    assert_eq!((sent.service(), job.service()), ("faceline-gateway", "faceline-worker"));
    assert_eq!(job.parent(), sent.id());
    assert_eq!((sent.span.kind, job.span.kind), (SpanKind::Producer as i32, SpanKind::Consumer as i32));
    for message in [sent, job] {
        assert_eq!(message.attribute("messaging.system"), "rabbitmq");
        assert_eq!(message.attribute("messaging.destination.name"), queue);
        assert_eq!(message.attribute("messaging.message.id"), sent.attribute("messaging.message.id"));
    }
    assert_eq!(job.attribute("faceline.outcome"), "done", "{job:?}");
    assert_eq!(job.attribute("faceline.settlement"), "Ack", "{job:?}");
    let run = named(spans, "run");
    let mut within: Vec<_> =
        spans.iter().filter(|one| [job.id(), run.id()].contains(&one.parent())).collect();
    within.sort_by_key(|one| one.span.start_time_unix_nano);
    let names: Vec<_> = within.iter().map(|one| one.span.name.as_str()).collect();
    let mut names = names.iter();
    assert!(stages.iter().all(|stage| names.any(|name| name == stage)), "{within:#?}");
}

/// Asserts that the document lists everything that is exported.
fn assert_documented(spans: &[Received]) {
    let keys: BTreeSet<_> =
        spans.iter().flat_map(|one| one.attributes.keys().chain(one.resource.keys())).collect();
    let missing: Vec<_> = keys.iter().filter(|key| !DOCUMENT.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/tracing.md does not list {missing:?}");
}

/// A recording with two seconds of a photo that does not move.
async fn video() -> Recording {
    let folder = TempDir::new().unwrap();
    let video = folder.path().join("video.webm");
    let output = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-loop",
            "1",
            "-framerate",
            "10",
            "-i",
            picture("obama.jpg").to_str().unwrap(),
        ])
        .args(["-t", "2", "-vf", "scale=480:-2", "-c:v", "libvpx", "-b:v", "1M", video.to_str().unwrap()])
        .output()
        .await
        .expect("ffmpeg is installed by deploy/dev/packages.sh");
    assert!(output.status.success(), "{output:?}");
    Recording::of(std::fs::read(video).unwrap(), "video/webm")
}

#[tokio::test]
async fn one_trace_leads_from_the_caller_to_the_worker_and_the_callback() {
    let _run = ServerRun::begin().await;
    let (broker, redis) = tokio::join!(PooledRabbitMq::take(), Redis::start());
    let authority = TestAuthority::new();
    let collector = Collector::start(&authority.issue("collector")).await;
    let folder = TempDir::new().unwrap();
    let (broker, redis, ca) = (broker.url(), redis.url(), authority.file());
    let endpoint = format!("https://localhost:{}", collector.address.port());
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("broker.url", &*broker),
        ("store.url", &*redis),
        ("inference.sessions", "1"),
        ("callbacks.allowed_networks", r#"["127.0.0.0/8"]"#),
        ("tracing.endpoint", &*endpoint),
        ("tracing.tls.ca", ca.to_str().unwrap()),
        ("tracing.sample_ratio", "0"),
        ("tracing.resource_attributes", r#"{"deployment.environment.name"="test"}"#),
        ("log.filter", "info,faceline_gateway=debug"),
    ];
    let start = |program| Process::start(program, &settings);
    let (mut gateway, mut worker) = tokio::join!(start("faceline-gateway"), start("faceline-worker"));
    let url = gateway.url().await;

    // REST: a face, a request that fails, and two that must leave no trace.
    let sampled = parent(1, true);
    let answer = face(&url, &[("traceparent", &sampled), ("tracestate", "rojo=1")], bytes("obama.jpg")).await;
    assert_eq!(answer.status(), 200);
    let answer = face(&url, &[("traceparent", &parent(2, true))], b"no picture".to_vec()).await;
    assert_eq!(answer.status(), 400);
    let answer = face(&url, &[("traceparent", &parent(3, false))], bytes("obama.jpg")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(face(&url, &[], bytes("obama.jpg")).await.status(), 200);

    // BWS by gRPC.
    let call = json!({
        "method": "LivenessDetection",
        "images": [{ "file": picture("obama.jpg") }],
        "token": demo_token(600),
        "metadata": [["traceparent", parent(4, true)]],
    });
    let answers = bws::call(&url, &[call]).await;
    assert_eq!(answers[0]["code"], "OK", "{answers:?}");

    // A replay, whose callback fails once.
    let receiver = CallbackReceiver::failing(1).await;
    let client = CaptureClient::new(&url, "demo");
    let keys = client.published_keys().await.unwrap();
    let wanted = Capture {
        session: json!({"callbackURL": receiver.url()}),
        timeout: Duration::from_mins(4),
        ..Capture::new(LivenessType::PassiveVideo, video().await)
    };
    capture(&client.within(&parent(5, true)), &keys, &wanted).await.unwrap();
    let callbacks = receiver.until(2).await;

    let jobs = "faceline.jobs.interactive";
    let [send, process] = ["send", "process"].map(|verb| format!("{verb} {jobs}"));
    let spans =
        collector.trace(&trace_id(1), &["POST /bioserver-app/v2/faces", &send, &process, "encode"]).await;
    assert_one_tree(&spans, "POST /bioserver-app/v2/faces");
    assert_stages(
        &spans,
        jobs,
        &["fetch", "wait for a slot", "run", "decode", "infer", "encode", "send (temporary)"],
    );
    let request = named(&spans, "POST /bioserver-app/v2/faces");
    assert_eq!(request.span.kind, SpanKind::Server as i32);
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/bioserver-app/v2/faces"),
        ("http.response.status_code", "200"),
        ("faceline.operation", "create_face"),
        ("faceline.client", "demo"),
    ] {
        assert_eq!(request.attribute(key), value, "{key}");
    }
    assert_eq!(request.resource["deployment.environment.name"], "test");
    assert!(spans.iter().all(|one| one.span.trace_state == "rojo=1"));
    let line = gateway.logged_where(|line| line["span"]["trace_id"] == trace_id(1).as_str()).await;
    assert_eq!(line["span"]["span_id"], request.id(), "a log line leads to the span");

    let spans = collector.trace(&trace_id(2), &["POST /bioserver-app/v2/faces", &process]).await;
    assert_one_tree(&spans, "POST /bioserver-app/v2/faces");
    let (request, job) = (named(&spans, "POST /bioserver-app/v2/faces"), named(&spans, &process));
    assert_eq!(request.attribute("http.response.status_code"), "400");
    assert_eq!(job.attribute("faceline.outcome"), "bad_picture");
    let failed = spans
        .iter()
        .filter(|one| one.span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32));
    assert_eq!(failed.count(), 0, "a caller's error is none of the service");

    let method = "bioid.services.v1.BioIDWebService/LivenessDetection";
    let spans = collector.trace(&trace_id(4), &[method, &process, "encode"]).await;
    assert_one_tree(&spans, method);
    assert_stages(&spans, jobs, &["fetch", "run", "decode", "infer", "encode"]);
    let call = named(&spans, method);
    for (key, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "bioid.services.v1.BioIDWebService"),
        ("rpc.method", "LivenessDetection"),
        ("rpc.grpc.status_code", "0"),
    ] {
        assert_eq!(call.attribute(key), value, "{key}");
    }

    // All of the client's requests of one capture are in one trace. The client asks for the status several times.
    let upload = "POST /bioserver-app/v2/bio-sessions/{session}/replay-liveness";
    let (queue, results) = ("faceline.jobs.replay", "process faceline.results");
    let spans = collector.trace(&trace_id(5), &[upload, "run", results, "POST callback"]).await;
    let of_upload = within(&spans, named(&spans, upload));
    assert_one_tree(&of_upload, upload);
    assert_stages(&of_upload, queue, &["run", "fetch", "decode", "infer", "encode", "send faceline.results"]);
    assert_eq!(named(&of_upload, results).service(), "faceline-gateway");

    let (code, log) = worker.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    let exported = gateway.metric(r#"faceline_trace_spans_total{outcome="exported"}"#).await;
    assert!(exported > 0.0);
    let (code, log) = gateway.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    // The collector has all spans, because the program sends the last ones when it ends.
    let spans = collector.trace(&trace_id(5), &[upload]).await;
    let of_upload = within(&spans, named(&spans, upload));
    let attempts: Vec<_> = of_upload.iter().filter(|one| one.span.name == "POST callback").collect();
    let statuses: BTreeSet<_> =
        attempts.iter().map(|one| one.attribute("http.response.status_code")).collect();
    assert_eq!(statuses, BTreeSet::from(["200", "500"]));
    let received: BTreeSet<_> = callbacks.iter().map(|one| one.traceparent.clone().unwrap()).collect();
    let sent = attempts.iter().map(|one| format!("00-{}-{}-01", trace_id(5), one.id())).collect();
    assert_eq!(received, sent, "the receiver can continue the trace");
    let all = collector.all();
    assert_documented(&all);
    let traces: BTreeSet<_> = all.iter().map(|one| collector::hex(&one.span.trace_id)).collect();
    assert_eq!(traces, [1, 2, 4, 5].map(trace_id).into(), "the others are not recorded");
}

/// A span and all of its descendants.
fn within(spans: &[Received], top: &Received) -> Vec<Received> {
    let mut ids = BTreeSet::from([top.id()]);
    loop {
        let below: BTreeSet<_> =
            spans.iter().filter(|one| ids.contains(&one.parent())).map(Received::id).collect();
        let before = ids.len();
        ids.extend(below);
        if ids.len() == before {
            return spans.iter().filter(|one| ids.contains(&one.id())).cloned().collect();
        }
    }
}

#[tokio::test]
async fn an_unreachable_collector_costs_no_request_and_little_time_at_the_end() {
    let _exclusive = ExclusiveRun::begin().await;
    // One port is closed. Another one accepts connections and never answers. A third one counts connections, of which
    // there must be none.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = |address| format!("http://{address}");
    let (closed, silent_url) = (endpoint(closed), endpoint(silent.local_addr().unwrap()));
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let common = |folder: usize| {
        [
            ("data_dir", folders[folder].path().to_str().unwrap()),
            ("http.shutdown_delay", "0s"),
            ("inference.sessions", "1"),
        ]
    };
    let traced = |folder, endpoint| {
        let own =
            [("tracing.endpoint", endpoint), ("tracing.sample_ratio", "1"), ("tracing.queue_spans", "4")];
        // The end of the program must not wait for the export.
        let own =
            [&own[..], &[("tracing.export_timeout", "10m"), ("tracing.shutdown_timeout", "1s")]].concat();
        [&common(folder)[..], &own].concat()
    };
    let mut untraced = Command::new(crate::programs::program("faceline"));
    untraced.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(unused.local_addr().unwrap()));
    let mut off = Process::spawn_with(untraced, "faceline", &common(2));
    let mut programs = [
        Process::start("faceline", &traced(0, &*closed)).await,
        Process::start("faceline", &traced(1, &*silent_url)).await,
    ];
    off.logged("ready").await;

    let sampled = parent(1, true);
    for (program, outcome) in programs.iter_mut().zip(["failed", "dropped"]) {
        let url = program.url().await;
        let series = format!(r#"faceline_trace_spans_total{{outcome="{outcome}"}}"#);
        for _ in 0..100 {
            assert_eq!(face(&url, &[("traceparent", &sampled)], bytes("obama.jpg")).await.status(), 200);
            if program.metric(&series).await > 0.0 {
                break;
            }
        }
        program.metric_reaches(&series, 1.0).await;
    }
    let url = off.url().await;
    assert_eq!(face(&url, &[("traceparent", &sampled)], bytes("obama.jpg")).await.status(), 200);

    for program in programs.iter_mut().chain([&mut off]) {
        let began = Instant::now();
        let (code, log) = program.terminate().await;
        assert_eq!(code, Some(0), "{log}");
        // This is far below the time limit of one export.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}: {log}", began.elapsed());
    }
    assert!(silent.accept().await.is_ok(), "spans were offered");
    let connection = tokio::time::timeout(Duration::from_millis(10), unused.accept()).await;
    assert!(connection.is_err(), "traces are off by default");
    assert!(off.count_logged("traces are exported") == 0);
}
