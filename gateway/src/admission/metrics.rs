//! What operators see of admission.

use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntGauge};

/// Metrics of admission.
#[derive(Clone, Debug)]
pub(super) struct AdmissionMetrics {
    pub(super) jobs: IntGauge,
    pub(super) bytes: IntGauge,
    /// The limit that adapts.
    pub(super) limit: IntGauge,
    /// Refused callers for whom there will be room.
    pub(super) booked: IntCounter,
    /// Refused callers for whom there is none in the time that they may be told.
    pub(super) unbooked: IntCounter,
    /// Callers who came as they were told.
    pub(super) kept: IntCounter,
}

impl AdmissionMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let promises = metrics.counters(
            "faceline_gateway_promises_total",
            "Callers who were told when to come again: with room kept for them, without, and who came as told.",
            &["outcome"],
        );
        let promises = |outcome| promises.with_label_values(&[outcome]);
        Self {
            jobs: metrics
                .gauge("faceline_gateway_inflight_jobs", "Requests that were let in and are not answered."),
            bytes: metrics
                .gauge("faceline_gateway_inflight_bytes", "Bytes of bodies that are held or promised."),
            limit: metrics.gauge(
                "faceline_gateway_limit_jobs",
                "Jobs that may be on their way, so that none waits too long.",
            ),
            booked: promises("booked"),
            unbooked: promises("unbooked"),
            kept: promises("kept"),
        }
    }
}
