//! Counts requests, their duration and their refusals.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::answer::{self, CauseLabel};
use crate::http::metrics::HttpMetrics;
use crate::http::{GatewayState, operations};
use crate::request::record::RequestRecord;

/// The status that is counted for a request whose caller left before the answer.
const CALLER_LEFT: u16 = 499;

/// A request in progress. It is counted when this is dropped, also when its caller leaves and the handler is
/// cancelled.
struct RequestInProgress<'a> {
    metrics: &'a HttpMetrics,
    operation: &'static str,
    started: Instant,
    status: Option<u16>,
    /// The facts about the request, its client among them.
    record: Option<RequestRecord>,
}

impl Drop for RequestInProgress<'_> {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let status = self.status.unwrap_or(CALLER_LEFT).to_string();
        self.metrics.requests.with_label_values(&[self.operation, status.as_str()]).inc();
        self.metrics.seconds.with_label_values(&[self.operation]).observe(duration.as_secs_f64());
        if let Some(client) = self.record.as_ref().and_then(RequestRecord::client) {
            self.metrics.clients.count(&client, self.operation, self.status, duration);
        }
    }
}

pub(in crate::http) async fn measure(
    State(state): State<Arc<GatewayState>>,
    request: Request,
    next: Next,
) -> Response {
    let operation = operations::name(&request);
    let mut in_progress = RequestInProgress {
        metrics: &state.metrics,
        operation,
        started: Instant::now(),
        status: None,
        record: RequestRecord::current().ok(),
    };
    let response = next.run(request).await;
    in_progress.status = Some(answer::effective_status(&response).as_u16());
    if let Some(CauseLabel(cause)) = response.extensions().get() {
        state.metrics.refusals.with_label_values(&[operation, cause]).inc();
    }
    response
}

#[cfg(test)]
mod tests {
    use faceline_shared::telemetry::Metrics;

    use super::*;
    use crate::accounts::demo_caller;

    #[test]
    fn a_request_whose_caller_left_is_counted_as_such() {
        let metrics = Metrics::new();
        let http = HttpMetrics::new(&metrics);
        let record = RequestRecord::default();
        record.update(|facts| facts.caller = Some(demo_caller()));
        drop(RequestInProgress {
            metrics: &http,
            operation: "match",
            started: Instant::now(),
            status: None,
            record: Some(record),
        });
        let text = metrics.encode();
        assert!(text.contains(r#"faceline_http_requests_total{operation="match",status="499"} 1"#), "{text}");
        let of_client = r#"faceline_client_requests_total{client="demo",operation="match",outcome="left"} 1"#;
        assert!(text.contains(of_client), "{text}");
    }
}
