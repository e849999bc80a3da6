//! Counts requests, their time and their refusals.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{self, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use faceline_shared::telemetry::Metrics;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};

use crate::http::State;
use crate::http::answer::{self, Cause};
use crate::http::routes::operation;

/// Status of a request whose caller left before the answer.
const LEFT: &str = "499";

/// The listener's metrics.
#[derive(Clone, Debug)]
pub(in crate::http) struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    refusals: IntCounterVec,
    /// Connections that are open.
    pub(in crate::http) connections: IntGauge,
    /// Connections that made room for others.
    pub(in crate::http) shed: IntCounter,
    /// Connections that ended because of their age.
    pub(in crate::http) aged: IntCounter,
    /// All metrics of the process, for those that only some settings need.
    pub(in crate::http) all: Metrics,
}

impl HttpMetrics {
    pub(in crate::http) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "faceline_http_requests_total",
                "Requests by operation and status; 499 where the caller left before the answer.",
                &["operation", "status"],
            ),
            seconds: metrics.seconds_by(
                "faceline_http_request_seconds",
                "Time from a request's headers to its answer.",
                &["operation"],
            ),
            refusals: metrics.counters(
                "faceline_http_refusals_total",
                "Requests that were not done, by cause.",
                &["operation", "cause"],
            ),
            connections: metrics.gauge("faceline_http_connections", "Open connections."),
            shed: metrics.counter(
                "faceline_http_connections_shed_total",
                "Idle connections that were closed to make room for others.",
            ),
            aged: metrics.counter(
                "faceline_http_connections_aged_total",
                "Connections that took no more requests because of their age.",
            ),
            all: metrics.clone(),
        }
    }
}

/// A request that is under way; counted when it ends, in whatever way.
struct UnderWay<'a> {
    metrics: &'a HttpMetrics,
    operation: &'static str,
    started: Instant,
    status: Option<String>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let status = self.status.as_deref().unwrap_or(LEFT);
        self.metrics.requests.with_label_values(&[self.operation, status]).inc();
        self.metrics
            .seconds
            .with_label_values(&[self.operation])
            .observe(self.started.elapsed().as_secs_f64());
    }
}

pub(in crate::http) async fn measure(
    extract::State(state): extract::State<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let operation = operation::name(request.method(), request.extensions().get().map(MatchedPath::as_str));
    let mut under_way =
        UnderWay { metrics: &state.metrics, operation, started: Instant::now(), status: None };
    let response = next.run(request).await;
    under_way.status = Some(answer::outcome(&response).as_u16().to_string());
    if let Some(Cause(cause)) = response.extensions().get() {
        state.metrics.refusals.with_label_values(&[operation, cause]).inc();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_whose_caller_left_is_counted_as_such() {
        let metrics = Metrics::new();
        let http = HttpMetrics::new(&metrics);
        drop(UnderWay { metrics: &http, operation: "match", started: Instant::now(), status: None });
        let text = metrics.encode();
        assert!(text.contains(r#"faceline_http_requests_total{operation="match",status="499"} 1"#), "{text}");
    }
}
