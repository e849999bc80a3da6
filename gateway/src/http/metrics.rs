//! The metrics of the public listener.

use super::client_metrics::ClientMetrics;
use faceline_shared::telemetry::Metrics;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};

/// The metrics of requests and connections.
#[derive(Clone, Debug)]
pub(in crate::http) struct HttpMetrics {
    /// Requests, by operation and status.
    pub(in crate::http) requests: IntCounterVec,
    /// Seconds from a request's headers to its answer, by operation.
    pub(in crate::http) seconds: HistogramVec,
    /// Refused requests, by operation and cause.
    pub(in crate::http) refusals: IntCounterVec,
    /// Requests and their duration, by client.
    pub(in crate::http) clients: ClientMetrics,
    /// Open connections.
    pub(in crate::http) connections: IntGauge,
    /// Idle connections that were closed for new ones at the limit of connections.
    pub(in crate::http) shed_connections: IntCounter,
    /// Connections that were closed because of their age.
    pub(in crate::http) aged_connections: IntCounter,
    /// Connections of trusted proxies that did not begin with a header of the PROXY protocol.
    pub(in crate::http) refused_proxy_headers: IntCounter,
    /// All metrics of the process, for those that are registered only with some settings.
    pub(in crate::http) registry: Metrics,
}

impl HttpMetrics {
    /// Creates the metrics and registers them with `metrics`.
    pub(in crate::http) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "faceline_http_requests_total",
                "Requests by operation and status; 499 if the caller left before the answer.",
                &["operation", "status"],
            ),
            seconds: metrics.seconds_by(
                "faceline_http_request_seconds",
                "Seconds from a request's headers to its answer, by operation.",
                &["operation"],
            ),
            refusals: metrics.counters(
                "faceline_http_refusals_total",
                "Refused requests, by operation and cause.",
                &["operation", "cause"],
            ),
            clients: ClientMetrics::new(metrics),
            connections: metrics.gauge("faceline_http_connections", "Open connections."),
            shed_connections: metrics.counter(
                "faceline_http_connections_shed_total",
                "Idle connections that were closed to make room for new ones.",
            ),
            aged_connections: metrics.counter(
                "faceline_http_connections_aged_total",
                "Connections that were closed because they reached http.max_connection_age.",
            ),
            refused_proxy_headers: metrics.counter(
                "faceline_http_proxy_headers_refused_total",
                "Connections of trusted proxies that did not begin with a header of the PROXY protocol.",
            ),
            registry: metrics.clone(),
        }
    }
}
