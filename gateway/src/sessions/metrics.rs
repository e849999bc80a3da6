//! Counts sessions and what the outbox does.

use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct SessionMetrics {
    /// Sessions that were created here.
    pub(super) created: IntCounter,
    /// Sessions whose end this gateway saw to, by reason.
    pub(super) ended: IntCounterVec,
    /// Rows that were done or put back.
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
                "Rows of the outbox by what became of them: done, failed (to be tried again), unreadable.",
                &["outcome"],
            ),
            depth: metrics.gauge("faceline_outbox_rows", "Rows in the outbox, due or not, of all gateways."),
        }
    }
}
