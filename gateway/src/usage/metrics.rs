//! Metrics of usage records.

use super::spill::SpillGauges;
use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct UsageMetrics {
    /// Records that were written to the outbox.
    pub(super) written: IntCounter,
    /// Records that the outbox did not take in time.
    pub(super) deferred: IntCounter,
    /// Deferred records that were written to the outbox later.
    pub(super) delivered: IntCounter,
    /// Records that were lost because too many were deferred.
    pub(super) lost: IntCounter,
    /// Records that wait for the outbox.
    pub(super) spill: SpillGauges,
    /// Batches by outcome.
    pub(super) batches: IntCounterVec,
    /// Records that are not in the object store yet, of all gateways.
    pub(super) waiting: IntGauge,
}

impl UsageMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let records = metrics.counters(
            "faceline_usage_records_total",
            "Usage records: written, deferred (the store did not take them in time), delivered (deferred ones that the store has now), lost (too many were deferred, or the disk failed).",
            &["outcome"],
        );
        let records = |outcome| records.with_label_values(&[outcome]);
        Self {
            written: records("written"),
            deferred: records("deferred"),
            delivered: records("delivered"),
            lost: records("lost"),
            spill: SpillGauges {
                rows: metrics.gauge(
                    "faceline_usage_deferred_records",
                    "Usage records that wait for the session store.",
                ),
                bytes: metrics.gauge(
                    "faceline_usage_deferred_bytes",
                    "Bytes of usage records that wait for the session store.",
                ),
            },
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
