//! An OpenTelemetry collector that keeps what it receives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faceline_shared::testkit::TestCertificate;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// Time limit. These tests run slow builds of the programs.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A span, with the resource that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) span: Span,
}

impl Received {
    pub(crate) fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub(crate) fn service(&self) -> &str {
        &self.resource["service.name"]
    }

    /// An attribute; empty if there is none.
    pub(crate) fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// A collector on a port of its own.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Collector {
    /// A collector that speaks TLS with this certificate.
    pub(crate) async fn start(certificate: &TestCertificate) -> Self {
        let pem = |path: &std::path::Path| std::fs::read(path).unwrap();
        let identity = Identity::from_pem(pem(&certificate.certificate), pem(&certificate.key));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let service = TraceServiceServer::new(Keeper(Arc::clone(&received)));
        let serving = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, received, _serving: AbortOnDropHandle::new(serving) }
    }

    /// All spans so far.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until the spans of a trace include those with these names. Returns all of the trace's spans.
    pub(crate) async fn trace(&self, id: &str, names: &[&str]) -> Vec<Received> {
        let wanted = async {
            loop {
                let mut spans = self.all();
                spans.retain(|received| hex(&received.span.trace_id) == id);
                if names.iter().all(|name| spans.iter().any(|received| received.span.name == *name)) {
                    return spans;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let found = tokio::time::timeout(TIMEOUT, wanted).await;
        found.unwrap_or_else(|_| {
            let all: Vec<_> =
                self.all().iter().map(|one| (hex(&one.span.trace_id), one.span.name.clone())).collect();
            panic!("trace {id} lacks one of {names:?}; there are {all:?}")
        })
    }
}

/// Receives spans.
struct Keeper(Arc<Mutex<Vec<Received>>>);

#[tonic::async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap();
        for of_resource in request.into_inner().resource_spans {
            let resource = texts(&of_resource.resource.unwrap().attributes);
            for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
                let attributes = texts(&span.attributes);
                kept.push(Received { resource: resource.clone(), attributes, span });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => panic!("an attribute of another kind: {other:?}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
