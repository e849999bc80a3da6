//! The export of spans to an OpenTelemetry collector, by OTLP over gRPC.
//!
//! Spans wait in a bounded queue, and one task sends them in batches. Ending a span never blocks: a span that finds the
//! queue full is dropped and counted.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use uuid::Uuid;

use super::Metrics;
use super::sampling::Sampling;
use super::span::Tracer;
use crate::settings::{ClientTls, TracingSettings};
use crate::tls::install_provider;

/// Maximum number of spans in one request to the collector.
const MAX_BATCH_SPANS: usize = 512;
/// A span waits this long, at most, for others of its batch.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// Interval of PING frames. A connection on which no response arrives is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Version of the semantic conventions that the attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Reason why traces cannot be exported. A collector that is merely unreachable is no error.
#[derive(Debug, thiserror::Error)]
pub enum TraceExportError {
    /// The address or the files for TLS cannot be used.
    #[error("tracing.endpoint cannot be used: {0}")]
    Endpoint(#[from] tonic::transport::Error),
    /// A file of `tracing.tls` cannot be read.
    #[error("tracing.tls: {0}: {1}")]
    File(String, std::io::Error),
}

/// The running export of a process.
#[derive(Debug)]
pub struct TraceExport {
    stop: CancellationToken,
    exporting: JoinHandle<()>,
    shutdown_timeout: Duration,
}

impl TraceExport {
    /// Begins to record and export traces; `None` if the settings name no collector. The connection is made with the first batch.
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`TraceExportError`]: certificates that cannot be read.
    pub fn start(
        settings: &TracingSettings,
        service: &'static str,
        messaging_system: &'static str,
        metrics: &Metrics,
    ) -> Result<Option<Self>, TraceExportError> {
        let Some(endpoint) = &settings.endpoint else { return Ok(None) };
        let resource = resource(settings, service);
        let counts = metrics.counters(
            "faceline_trace_spans_total",
            "Spans of recorded traces: exported, dropped because the queue was full, or failed because the collector did not accept them.",
            &["outcome"],
        );
        let [exported, dropped, failed] =
            ["exported", "dropped", "failed"].map(|outcome| counts.with_label_values(&[outcome]));
        let (sender, spans) = mpsc::channel(settings.queue_spans);
        let exporter = Exporter {
            client: TraceServiceClient::new(channel(endpoint, settings)?),
            resource: (&resource).into(),
            timeout: settings.export_timeout,
            spans,
            exported,
            failed,
            is_failing: false,
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(SpanQueue { spans: sender, dropped })
            .build();
        let scope = InstrumentationScope::builder("faceline").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = Tracer {
            sdk: provider.tracer_with_scope(scope),
            sampling: Sampling::new(settings.sample_ratio, settings.max_caller_traces_per_second),
            messaging_system,
        };
        tracer.install();
        let stop = CancellationToken::new();
        let exporting = tokio::spawn(exporter.run(stop.clone()));
        tracing::info!(endpoint, "traces are exported");
        Ok(Some(Self { stop, exporting, shutdown_timeout: settings.shutdown_timeout }))
    }

    /// Exports the spans that wait, for at most `tracing.shutdown_timeout`, and ends the export.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if timeout(self.shutdown_timeout, &mut self.exporting).await.is_err() {
            tracing::warn!("the last spans are lost: the collector has not accepted them in time");
            self.exporting.abort();
        }
    }
}

/// Attributes of all spans of this process. OpenTelemetry's own environment variables are not read, because settings
/// have one source.
fn resource(settings: &TracingSettings, service: &'static str) -> Resource {
    let own =
        settings.resource_attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_schema_url(
            [
                KeyValue::new("service.name", service),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
            ],
            SCHEMA,
        )
        .with_attributes(own)
        .build()
}

/// A channel that connects when it is needed, and reconnects after a failure.
fn channel(endpoint: &str, settings: &TracingSettings) -> Result<Channel, TraceExportError> {
    let mut target = Endpoint::from_shared(endpoint.to_owned())?
        .connect_timeout(settings.export_timeout)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(settings.export_timeout);
    if endpoint.starts_with("https:") {
        install_provider();
        target = target.tls_config(tls(&settings.tls)?)?;
    }
    Ok(target.connect_lazy())
}

fn tls(settings: &ClientTls) -> Result<ClientTlsConfig, TraceExportError> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| TraceExportError::File(path.display().to_string(), error))
    };
    let mut tls = match &settings.ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

/// Puts ended spans into the queue.
#[derive(Debug)]
struct SpanQueue {
    spans: mpsc::Sender<SpanData>,
    dropped: IntCounter,
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends the spans of the queue.
struct Exporter {
    client: TraceServiceClient<Channel>,
    resource: ResourceAttributesWithSchema,
    timeout: Duration,
    spans: mpsc::Receiver<SpanData>,
    exported: IntCounter,
    failed: IntCounter,
    /// Whether the last batch was not accepted. Only a change is logged.
    is_failing: bool,
}

impl Exporter {
    /// Exports spans until `stop`, and then those left in the queue.
    async fn run(mut self, stop: CancellationToken) {
        while let Some(batch) = self.next_batch(&stop).await {
            self.export(batch).await;
        }
    }

    /// Waits for spans; `None` when the queue is closed and empty.
    async fn next_batch(&mut self, stop: &CancellationToken) -> Option<Vec<SpanData>> {
        let mut batch = Vec::new();
        let spans = &mut self.spans;
        let mut deadline = None;
        while batch.len() < MAX_BATCH_SPANS {
            let free = MAX_BATCH_SPANS - batch.len();
            let late = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let received = tokio::select! {
                biased;
                () = stop.cancelled(), if !spans.is_closed() => {
                    spans.close();
                    continue;
                }
                received = spans.recv_many(&mut batch, free) => received,
                () = late => 0,
            };
            if received == 0 {
                break;
            }
            deadline.get_or_insert_with(|| Instant::now() + BATCH_DELAY);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Sends one batch without retries: spans are worth less than the memory in which they would wait for an
    /// unavailable collector.
    async fn export(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let rejected = match timeout(self.timeout, self.client.export(request)).await {
            Ok(Ok(answer)) => {
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0).min(spans);
                self.note(&if rejected == 0 { Ok(()) } else { Err(partial.error_message) });
                rejected
            }
            Ok(Err(status)) => {
                self.note(&Err(status.to_string()));
                spans
            }
            Err(_) => {
                self.note(&Err("no answer in time".to_owned()));
                spans
            }
        };
        self.failed.inc_by(rejected);
        self.exported.inc_by(spans - rejected);
    }

    fn note(&mut self, accepted: &Result<(), String>) {
        match accepted {
            Ok(()) if self.is_failing => tracing::info!("the collector accepts spans again"),
            Err(error) if !self.is_failing => {
                tracing::warn!(error, "the collector does not accept spans; they are lost until it does");
            }
            _ => (),
        }
        self.is_failing = accepted.is_err();
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
