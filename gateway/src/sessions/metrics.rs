//! Metrics of sessions and of their outbox.

use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct SessionMetrics {
    /// Sessions that this gateway created.
    pub(super) created: IntCounter,
    /// Sessions that this gateway cleared up after their end, by reason.
    pub(super) ended: IntCounterVec,
    /// Processed rows by outcome.
    pub(super) rows: IntCounterVec,
    /// Rows in the outbox, of all gateways.
    pub(super) depth: IntGauge,
}

impl SessionMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            created: metrics.counter("faceline_sessions_created_total", "Sessions that were created."),
            ended: metrics.counters(
                "faceline_sessions_ended_total",
                "Sessions that were cleared up after their end, by reason.",
                &["reason"],
            ),
            rows: metrics.counters(
                "faceline_outbox_rows_total",
                "Processed rows of the outbox by outcome: done, failed (to be retried), unreadable.",
                &["outcome"],
            ),
            depth: metrics.gauge("faceline_outbox_rows", "Rows in the outbox, due or not, of all gateways."),
        }
    }
}
