//! The tracing span of a request: it puts request id, trace id, operation, client, job and the caller's address into every log line.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use faceline_shared::telemetry::TraceContext;
use tracing::{Instrument as _, field};

use super::request_id::RequestId;
use crate::accounts::SourceAddress;
use crate::http::{answer, operations};

pub(in crate::http) async fn trace(mut request: Request, next: Next) -> Response {
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let context = TraceContext::continued(traceparent);
    request.extensions_mut().insert(context);
    let operation = operations::name(&request);
    let request_id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.as_str());
    let caller_address = request.extensions().get::<SourceAddress>().map(field::display);
    let span = tracing::info_span!(
        "request",
        request_id,
        trace_id = context.trace_id(),
        operation,
        caller_address,
        client = field::Empty,
        job = field::Empty,
    );
    async {
        let started = Instant::now();
        let response = next.run(request).await;
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::{Extension, Router, routing};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_carries_on_the_callers_trace() {
        let show = async |Extension(context): Extension<TraceContext>| context.trace_id();
        let router = Router::new().route("/", routing::get(show)).layer(from_fn(trace));
        let request = Request::builder()
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, "0af7651916cd43dd8448eb211c80319c");
    }
}
