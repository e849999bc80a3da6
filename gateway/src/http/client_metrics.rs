//! The metrics of requests by client.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faceline_shared::telemetry::Metrics;
use prometheus::{HistogramVec, IntCounterVec};

/// Maximum number of clients with time series of their own. Each client needs up to some hundred series, so an
/// installation with thousands of clients would overload Prometheus.
const MAX_CLIENTS: usize = 200;
/// The label of all further clients.
const OTHER_CLIENTS: &str = "(other)";

/// Requests and their duration by client. Requests without a valid credential belong to no client and are not counted
/// here.
#[derive(Clone, Debug)]
pub(in crate::http) struct ClientMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    named: Arc<Mutex<HashSet<Arc<str>>>>,
}

impl ClientMetrics {
    /// Registers the metrics.
    pub(in crate::http) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "faceline_client_requests_total",
                "Requests by client, operation and outcome: ok, rejected (4xx), limited (429), failed (5xx), left (before the answer). Clients beyond the first 200 that send a request are \"(other)\".",
                &["client", "operation", "outcome"],
            ),
            seconds: metrics.seconds_by(
                "faceline_client_request_seconds",
                "Seconds from a request's headers to its answer, by client.",
                &["client"],
            ),
            named: Arc::default(),
        }
    }

    /// Counts a request. `status` is `None` if the caller left before the answer.
    pub(in crate::http) fn count(
        &self,
        client: &Arc<str>,
        operation: &str,
        status: Option<u16>,
        duration: Duration,
    ) {
        let client = if self.is_named(client) { client.as_ref() } else { OTHER_CLIENTS };
        self.requests.with_label_values(&[client, operation, outcome(status)]).inc();
        self.seconds.with_label_values(&[client]).observe(duration.as_secs_f64());
    }

    fn is_named(&self, client: &Arc<str>) -> bool {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.contains(client) || (named.len() < MAX_CLIENTS && named.insert(Arc::clone(client)))
    }
}

fn outcome(status: Option<u16>) -> &'static str {
    match status {
        None => "left",
        Some(429) => "limited",
        Some(..400) => "ok",
        Some(400..500) => "rejected",
        Some(500..) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_apart() {
        let statuses = [Some(200), Some(204), Some(400), Some(404), Some(429), Some(500), Some(503), None];
        let outcomes = ["ok", "ok", "rejected", "rejected", "limited", "failed", "failed", "left"];
        assert_eq!(statuses.map(outcome), outcomes);
    }

    #[test]
    fn many_clients_share_a_series() {
        let metrics = Metrics::new();
        let clients = ClientMetrics::new(&metrics);
        for round in 0..2 {
            for number in 0..MAX_CLIENTS + 3 {
                let client = Arc::from(format!("client-{number}"));
                clients.count(&client, "match", Some(200 + round), Duration::from_millis(5));
            }
        }
        let text = metrics.encode();
        let count = |client: &str| {
            let start = format!("faceline_client_requests_total{{client=\"{client}\",");
            let line = text.lines().find(|line| line.starts_with(&start));
            line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        assert_eq!(count("client-0").as_deref(), Some("2"));
        assert_eq!(count(&format!("client-{MAX_CLIENTS}")), None);
        assert_eq!(count(OTHER_CLIENTS).as_deref(), Some("6"));
    }
}
