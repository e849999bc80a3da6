//! Counts requests, their duration and their refusals.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::answer::{self, CauseLabel};
use crate::http::metrics::HttpMetrics;
use crate::http::{GatewayState, operations};

/// The status that is counted for a request whose caller left before the answer.
const CALLER_LEFT: &str = "499";

/// A request in progress. It is counted when this is dropped, so also when its caller leaves and the handler is
/// cancelled.
struct RequestInProgress<'a> {
    metrics: &'a HttpMetrics,
    operation: &'static str,
    started: Instant,
    status: Option<String>,
}

impl Drop for RequestInProgress<'_> {
    fn drop(&mut self) {
        let status = self.status.as_deref().unwrap_or(CALLER_LEFT);
        self.metrics.requests.with_label_values(&[self.operation, status]).inc();
        self.metrics
            .seconds
            .with_label_values(&[self.operation])
            .observe(self.started.elapsed().as_secs_f64());
    }
}

pub(in crate::http) async fn measure(
    State(state): State<Arc<GatewayState>>,
    request: Request,
    next: Next,
) -> Response {
    let operation = operations::name(&request);
    let mut in_progress =
        RequestInProgress { metrics: &state.metrics, operation, started: Instant::now(), status: None };
    let response = next.run(request).await;
    in_progress.status = Some(answer::effective_status(&response).as_u16().to_string());
    if let Some(CauseLabel(cause)) = response.extensions().get() {
        state.metrics.refusals.with_label_values(&[operation, cause]).inc();
    }
    response
}

#[cfg(test)]
mod tests {
    use faceline_shared::telemetry::Metrics;

    use super::*;

    #[test]
    fn a_request_whose_caller_left_is_counted_as_such() {
        let metrics = Metrics::new();
        let http = HttpMetrics::new(&metrics);
        drop(RequestInProgress { metrics: &http, operation: "match", started: Instant::now(), status: None });
        let text = metrics.encode();
        assert!(text.contains(r#"faceline_http_requests_total{operation="match",status="499"} 1"#), "{text}");
    }
}
