//! Metrics of the gateway's jobs.

use faceline_shared::telemetry::Metrics;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

#[derive(Clone, Debug)]
pub(super) struct JobMetrics {
    /// Publishes, by outcome.
    pub(super) published: IntCounterVec,
    /// Jobs published again after the broker lost the reply queue.
    pub(super) republished: IntCounter,
    /// Answers whose job is no longer pending.
    pub(super) unexpected_results: IntCounter,
    /// Jobs without an answer yet.
    pub(super) pending: IntGauge,
    /// Jobs that ended without an answer.
    pub(super) cancelled: IntCounter,
    /// Time from publish to answer, less the worker's time, in seconds.
    pub(super) wait: Histogram,
}

impl JobMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            published: metrics.counters(
                "faceline_gateway_published_total",
                "Jobs published to the broker, by outcome of the publish.",
                &["outcome"],
            ),
            republished: metrics.counter(
                "faceline_gateway_republished_total",
                "Jobs published again because their reply queue was lost.",
            ),
            unexpected_results: metrics.counter(
                "faceline_gateway_unexpected_results_total",
                "Answers whose job is no longer pending: duplicates and late ones.",
            ),
            pending: metrics.gauge("faceline_gateway_pending_jobs", "Jobs that wait for their answer."),
            cancelled: metrics
                .counter("faceline_gateway_cancelled_total", "Jobs whose caller left before the answer."),
            wait: metrics.seconds(
                "faceline_gateway_wait_seconds",
                "Time of a job outside the worker: from its publish to its answer, less the worker's time.",
            ),
        }
    }
}
