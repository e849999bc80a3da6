//! Metrics of usage records.

use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct UsageMetrics {
    /// Records that were written to the outbox.
    pub(super) written: IntCounter,
    /// Records that the outbox did not take in time.
    pub(super) deferred: IntCounter,
    /// Records that were lost because too many were deferred.
    pub(super) lost: IntCounter,
    /// Batches by outcome.
    pub(super) batches: IntCounterVec,
    /// Records that are not in the object store yet, of all gateways.
    pub(super) waiting: IntGauge,
}

impl UsageMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let records = metrics.counters(
            "faceline_usage_records_total",
            "Usage records: written, deferred (the store did not take them in time), lost (too many were deferred).",
            &["outcome"],
        );
        let records = |outcome| records.with_label_values(&[outcome]);
        Self {
            written: records("written"),
            deferred: records("deferred"),
            lost: records("lost"),
            batches: metrics.counters(
                "faceline_usage_batches_total",
                "Batches of usage records on their way to the object store, by outcome: done, failed.",
                &["outcome"],
            ),
            waiting: metrics.gauge(
                "faceline_usage_rows",
                "Usage records that are not in the object store yet, of all gateways.",
            ),
        }
    }
}
