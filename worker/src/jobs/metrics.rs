//! What operators see of a worker.

use faceline_shared::telemetry::Metrics;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

/// Metrics of a worker.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    /// Jobs answered, by how they ended.
    pub(super) answered: IntCounterVec,
    /// Jobs that were left without an answer, by reason.
    pub(super) dropped: IntCounterVec,
    /// Deliveries of jobs that were tried before.
    pub(super) redelivered: IntCounterVec,
    /// Time of a job by stage.
    pub(super) stages: HistogramVec,
    /// Jobs in work.
    pub(super) running: IntGauge,
    /// Smallest age of a job by gateway; negative where that gateway's clock is ahead.
    pub(super) smallest_age: IntGaugeVec,
}

impl WorkerMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            answered: metrics.counters(
                "faceline_worker_answered_total",
                "Jobs answered, by how they ended.",
                &["outcome"],
            ),
            dropped: metrics.counters(
                "faceline_worker_dropped_total",
                "Jobs not worked on, since nobody waits for them or nobody can read them.",
                &["reason"],
            ),
            redelivered: metrics.counters(
                "faceline_worker_redelivered_total",
                "Deliveries of jobs that were tried before, by queue.",
                &["queue"],
            ),
            stages: metrics.seconds_by(
                "faceline_worker_stage_seconds",
                "Time of a job, split into queue, fetch, decode, infer and encode.",
                &["stage"],
            ),
            running: metrics.gauge("faceline_worker_running_jobs", "Jobs in work."),
            smallest_age: metrics.gauges(
                "faceline_worker_smallest_job_age_milliseconds",
                "Smallest age of a job seen from a gateway: a large or negative one is a clock that is off.",
                &["gateway"],
            ),
        }
    }
}
