//! Tests of the export, against a collector that refuses.

use std::sync::Mutex;

use opentelemetry::trace::{Span as _, Tracer as _};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_sdk::trace::SdkTracer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::*;

type Answer = Result<ExportTraceServiceResponse, Status>;

/// Gives these answers, from the last one on.
struct Scripted(Mutex<Vec<Answer>>);

#[tonic::async_trait]
impl TraceService for Scripted {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().pop().expect("another request").map(Response::new)
    }
}

fn rejecting(rejected_spans: i64) -> Answer {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".into() };
    Ok(ExportTraceServiceResponse { partial_success: Some(partial) })
}

/// An exporter, a tracer whose spans it sends, and the counts of exported, dropped and failed spans.
fn exporter(endpoint: &str, queue: usize) -> (Exporter, SdkTracer, [IntCounter; 3]) {
    let settings = TracingSettings { export_timeout: Duration::from_secs(20), ..TracingSettings::default() };
    let [exported, dropped, failed] =
        ["exported", "dropped", "failed"].map(|name| IntCounter::new(name, name).unwrap());
    let (sender, spans) = mpsc::channel(queue);
    let resource = resource(&settings, "test");
    let exporter = Exporter {
        client: TraceServiceClient::new(channel(endpoint, &settings).unwrap()),
        resource: (&resource).into(),
        timeout: settings.export_timeout,
        spans,
        exported: exported.clone(),
        failed: failed.clone(),
        is_failing: false,
    };
    let processor = SpanQueue { spans: sender, dropped: dropped.clone() };
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    (exporter, provider.tracer("test"), [exported, dropped, failed])
}

fn spans(tracer: &SdkTracer, count: usize) {
    for _ in 0..count {
        tracer.start("span").end();
    }
}

fn counts(counters: &[IntCounter; 3]) -> [u64; 3] {
    counters.each_ref().map(IntCounter::get)
}

#[tokio::test]
async fn spans_are_counted_by_what_the_collector_says_of_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answers = [Ok(ExportTraceServiceResponse::default()), Err(Status::unavailable("busy")), rejecting(2)];
    let service = TraceServiceServer::new(Scripted(Mutex::new(answers.into())));
    let serving = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
    let serving = tokio::spawn(serving);
    let (mut exporter, tracer, counters) = exporter(&endpoint, 100);
    let stop = CancellationToken::new();
    for (expected, is_failing) in [([3, 0, 2], true), ([3, 0, 7], true), ([8, 0, 7], false)] {
        spans(&tracer, 5);
        let batch = exporter.next_batch(&stop).await.unwrap();
        exporter.export(batch).await;
        assert_eq!((counts(&counters), exporter.is_failing), (expected, is_failing));
    }
    serving.abort();
}

#[tokio::test]
async fn a_full_queue_drops_spans_and_delays_nobody() {
    let (_exporter, tracer, counters) = exporter("http://127.0.0.1:9", 3);
    spans(&tracer, 10);
    assert_eq!(counts(&counters), [0, 7, 0]);
}

#[tokio::test]
async fn what_is_left_is_sent_in_batches_at_the_end() {
    let (mut exporter, tracer, _) = exporter("http://127.0.0.1:9", 2 * MAX_BATCH_SPANS);
    spans(&tracer, MAX_BATCH_SPANS + 1);
    let stop = CancellationToken::new();
    stop.cancel();
    let mut lengths = Vec::new();
    while let Some(batch) = exporter.next_batch(&stop).await {
        lengths.push(batch.len());
    }
    assert_eq!(lengths, [MAX_BATCH_SPANS, 1]);
}

#[tokio::test]
async fn a_shutdown_waits_no_longer_than_its_bound_for_a_collector_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (exporter, tracer, _) = exporter(&format!("http://{}", listener.local_addr().unwrap()), 10);
    let stop = CancellationToken::new();
    let exporting = tokio::spawn(exporter.run(stop.clone()));
    spans(&tracer, 1);
    let export = TraceExport { stop, exporting, shutdown_timeout: Duration::from_millis(100) };
    let began = Instant::now();
    export.shutdown().await;
    let elapsed = began.elapsed();
    assert!(elapsed >= Duration::from_millis(100) && elapsed < Duration::from_secs(10), "{elapsed:?}");
}
