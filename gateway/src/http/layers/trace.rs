//! The two spans of a request. The span of the log adds request id, trace id, operation, client, job and the caller's
//! address to every log line. The span of the trace, which has fewer attributes, is exported.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use faceline_shared::telemetry::{Span, TraceContext};
use http::{HeaderMap, HeaderName, Method, Version};
use tracing::{Instrument as _, field};

use super::request_id::RequestId;
use crate::accounts::SourceAddress;
use crate::http::answer::{self, CauseLabel};
use crate::http::family::Family;
use crate::http::operations::{self, Operation};
use crate::request::RequestSpan;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// `error.type` of a request whose caller left before the answer.
const CALLER_LEFT: &str = "caller_left";

pub(in crate::http) async fn trace(mut request: Request, next: Next) -> Response {
    let mut in_progress = RequestInProgress { span: begin(&request), is_answered: false };
    let context = in_progress.span.context().clone();
    let operation = operations::name(&request);
    let request_id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.as_str());
    let caller_address = request.extensions().get::<SourceAddress>().map(field::display);
    let span = tracing::info_span!(
        "request",
        request_id,
        trace_id = context.trace_id(),
        span_id = context.span_id(),
        operation,
        caller_address,
        client = field::Empty,
        job = field::Empty,
    );
    request.extensions_mut().insert(context);
    request.extensions_mut().insert(in_progress.span.clone());
    async {
        let started = Instant::now();
        let response = next.run(request).await;
        in_progress.answered(&response);
        tracing::debug!(
            status = answer::effective_status(&response).as_u16(),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "answered"
        );
        response
    }
    .instrument(span)
    .await
}

/// Begins the span of a request, with the attributes that its headers determine.
fn begin(request: &Request) -> RequestSpan {
    let operation = request.extensions().get::<&'static Operation>().copied();
    let caller = received_context(request.headers());
    let method = known_method(request.method());
    let path = operation.map(|operation| operation.path);
    let grpc = path.filter(|path| Family::of_request(path, request.headers()) == Family::Grpc);
    // An unknown path is the caller's text, and may contain a secret by mistake.
    let mut span = match (grpc, path) {
        (Some(path), _) => Span::of_request(caller, path.trim_start_matches('/')),
        (None, Some(path)) => Span::of_request(caller, format_args!("{method} {path}")),
        (None, None) => Span::of_request(caller, method),
    };
    if span.is_recording() {
        span.set("http.request.method", method);
        span.set("network.protocol.name", "http");
        span.set("network.protocol.version", version(request.version()));
        span.set("faceline.operation", operations::name(request));
        if let Some(path) = path {
            span.set("http.route", path);
        }
        if let Some((service, method)) = grpc.and_then(|path| path.trim_start_matches('/').split_once('/')) {
            span.set("rpc.system", "grpc");
            span.set("rpc.service", service);
            span.set("rpc.method", method);
        }
        if let Some(RequestId(id)) = request.extensions().get() {
            span.set("faceline.request_id", id.clone());
        }
    }
    RequestSpan::new(span)
}

/// The caller's trace context. A header `traceparent` that occurs twice may come from two systems and is ignored;
/// `tracestate` may be split into several headers.
fn received_context(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?.to_str().ok()?;
    let states: Result<Vec<_>, _> = headers.get_all(TRACESTATE).iter().map(|value| value.to_str()).collect();
    TraceContext::received(Some(parent), states.ok().map(|states| states.join(",")).as_deref())
}

/// The method if it is a known one, otherwise `_OTHER`: callers may invent methods.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// A request in progress. Its span ends when this is dropped, also when its caller leaves and the handler is cancelled.
struct RequestInProgress {
    span: RequestSpan,
    is_answered: bool,
}

impl RequestInProgress {
    fn answered(&mut self, response: &Response) {
        self.is_answered = true;
        self.span.update(|span| {
            span.set("http.response.status_code", i64::from(response.status().as_u16()));
            if let Some(code) = grpc_status(response) {
                span.set("rpc.grpc.status_code", code);
            }
            let status = answer::effective_status(response);
            let cause = response.extensions().get().map(|CauseLabel(cause)| *cause);
            if status.is_server_error() {
                span.fail(cause.unwrap_or(status.as_str()));
            } else if let Some(cause) = cause {
                span.set("error.type", cause);
            }
        });
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.span.end(|span| {
            if !self.is_answered {
                span.fail(CALLER_LEFT);
            }
        });
    }
}

/// The gRPC status code of an answer. The code of a success, 0, is in the trailers and not in the headers.
fn grpc_status(response: &Response) -> Option<i64> {
    let kind = response.headers().get(http::header::CONTENT_TYPE)?;
    if !kind.as_bytes().starts_with(b"application/grpc") {
        return None;
    }
    let code = response.headers().get(GRPC_STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
    Some(code.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::{Extension, Router, routing};
    use http::HeaderValue;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[tokio::test]
    async fn a_request_carries_on_the_callers_trace() {
        let show = async |Extension(context): Extension<TraceContext>| context.trace_id();
        let router = Router::new().route("/", routing::get(show)).layer(from_fn(trace));
        let request = Request::builder().header("traceparent", CALLER).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn a_context_that_is_there_twice_or_is_no_text_is_none() {
        let headers = |pairs: &[(HeaderName, &'static [u8])]| {
            pairs.iter().fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, HeaderValue::from_bytes(value).unwrap());
                all
            })
        };
        let parent = (TRACEPARENT, CALLER.as_bytes());
        assert!(received_context(&headers(&[])).is_none());
        assert!(received_context(&headers(&[parent.clone(), parent.clone()])).is_none());
        assert!(received_context(&headers(&[(TRACEPARENT, b"\xff")])).is_none());
        let state = |states: &[&'static [u8]]| {
            let states = states.iter().map(|state| (TRACESTATE, *state));
            let headers = headers(&[parent.clone()].into_iter().chain(states).collect::<Vec<_>>());
            received_context(&headers)?.tracestate().map(str::to_owned)
        };
        assert_eq!(state(&[b"a=1", b"b=2"]).as_deref(), Some("a=1,b=2"));
        assert_eq!(state(&[b"a=1", b"\xff"]), None);
        assert_eq!(state(&[]), None);
    }
}
