//! Metrics of sessions.

use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntCounterVec};

use crate::outbox::OutboxMetrics;

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct SessionMetrics {
    /// Sessions that this gateway created.
    pub(super) created: IntCounter,
    /// Sessions that this gateway cleared up after their end, by reason.
    pub(super) ended: IntCounterVec,
    /// Metrics of the outbox.
    pub(super) outbox: OutboxMetrics,
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
            outbox: OutboxMetrics::new(metrics),
        }
    }
}
