//! What operators see of jobs.

use faceline_shared::telemetry::Metrics;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

/// Metrics of the job side.
#[derive(Clone, Debug)]
pub(super) struct JobMetrics {
    /// By outcome of the publish.
    pub(super) published: IntCounterVec,
    /// Jobs published again after the broker lost the reply queue.
    pub(super) republished: IntCounter,
    /// Results whose job was answered or given up before.
    pub(super) unexpected_results: IntCounter,
    /// Jobs that wait for their answer.
    pub(super) pending: IntGauge,
    /// Jobs whose caller left.
    pub(super) cancelled: IntCounter,
    /// answered - published - service time.
    pub(super) wait: Histogram,
}

impl JobMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            published: metrics.counters(
                "faceline_gateway_published_total",
                "Jobs given to the broker, by what became of them.",
                &["outcome"],
            ),
            republished: metrics.counter(
                "faceline_gateway_republished_total",
                "Jobs published again because the way of their answer was lost.",
            ),
            unexpected_results: metrics.counter(
                "faceline_gateway_unexpected_results_total",
                "Results that nobody waits for (any more): repetitions and late ones.",
            ),
            pending: metrics.gauge("faceline_gateway_pending_jobs", "Jobs that wait for their answer."),
            cancelled: metrics
                .counter("faceline_gateway_cancelled_total", "Jobs whose caller left before the answer."),
            wait: metrics.seconds(
                "faceline_gateway_wait_seconds",
                "Time of a job outside the worker: from its publish to its answer, less the service time.",
            ),
        }
    }
}
