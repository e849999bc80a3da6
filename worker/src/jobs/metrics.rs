//! The metrics of a worker.

use std::time::Duration;

use super::biometric_metrics::BiometricMetrics;
use faceline_models::liveness::LivenessCalibration;
use faceline_models::manifest::Model;
use faceline_shared::broker::Queue;
use faceline_shared::telemetry::Metrics;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// The outcomes of jobs that fail for a reason that is not in the picture.
const SERVICE_FAILURES: [&str; 5] = ["blob_lost", "poison", "unsupported", "other_keys", "internal"];

/// Metrics of a worker.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    /// Answered jobs, by outcome.
    pub(super) answered: IntCounterVec,
    /// Jobs without an answer, by reason.
    pub(super) dropped: IntCounterVec,
    /// Deliveries of jobs with earlier attempts, by queue.
    pub(super) redelivered: IntCounterVec,
    /// Deliveries of jobs that went back for another worker.
    pub(super) deferred: IntCounter,
    /// Time of a job, by stage.
    pub(super) stages: HistogramVec,
    /// Jobs that are being done.
    pub(super) running: IntGauge,
    /// Distributions of what the models find.
    pub(super) biometric: BiometricMetrics,
    /// Smallest age of a job, by gateway; negative where the gateway's clock is ahead.
    pub(super) smallest_age: IntGaugeVec,
}

impl WorkerMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let registered = Self {
            answered: metrics.counters(
                "faceline_worker_answered_total",
                "Answered jobs, by outcome.",
                &["outcome"],
            ),
            dropped: metrics.counters(
                "faceline_worker_dropped_total",
                "Jobs that were dropped without an answer, by reason.",
                &["reason"],
            ),
            redelivered: metrics.counters(
                "faceline_worker_redelivered_total",
                "Deliveries of jobs with earlier attempts, by queue.",
                &["queue"],
            ),
            deferred: metrics.counter(
                "faceline_worker_deferred_total",
                "Deliveries of jobs that this worker could not read, because of its build or its keys, and gave back for another worker.",
            ),
            stages: metrics.seconds_by(
                "faceline_worker_stage_seconds",
                "Time of a job, split into queue, fetch, decode, infer and encode.",
                &["stage"],
            ),
            biometric: BiometricMetrics::new(metrics),
            running: metrics.gauge("faceline_worker_running_jobs", "Jobs that are being done."),
            smallest_age: metrics.gauges(
                "faceline_worker_smallest_job_age_milliseconds",
                "Smallest age of a job, by gateway. A large or negative value shows that a clock is wrong.",
                &["gateway"],
            ),
        };
        // Prometheus does not see the first increment of a counter that did not exist before, and these events are
        // rare.
        for outcome in SERVICE_FAILURES {
            registered.answered.with_label_values(&[outcome]);
        }
        for queue in [Queue::Interactive, Queue::Replay, Queue::Quarantine] {
            registered.redelivered.with_label_values(&[queue.name()]);
        }
        registered
    }

    /// Shows which liveness calibration this worker uses.
    pub(crate) fn liveness_calibration(metrics: &Metrics, calibration: &LivenessCalibration) {
        let gauges = metrics.float_gauges(
            "faceline_worker_liveness_threshold_llr",
            "Log-likelihood ratio above which a picture is live, by calibration, profile and security level.",
            &["calibration", "profile", "level"],
        );
        let profile = calibration.profile.to_string();
        let still = &calibration.still;
        for (level, llr) in [("LOW", still.low), ("MEDIUM", still.medium), ("HIGH", still.high)] {
            gauges
                .with_label_values(&[calibration.name.as_str(), profile.as_str(), level])
                .set(f64::from(llr));
        }
    }

    /// Shows which models this worker runs.
    pub(crate) fn models<'a>(metrics: &Metrics, models: impl Iterator<Item = &'a Model>) {
        let gauges = metrics.gauges(
            "faceline_model_info",
            "1, with the role, name and version of a model that the worker runs.",
            &["role", "name", "version"],
        );
        for Model { role, name, version, .. } in models {
            gauges.with_label_values(&[role.as_str(), name.as_str(), version.to_string().as_str()]).set(1);
        }
    }

    /// Records the time of a stage of one job.
    pub(super) fn stage(&self, stage: &str, time: Duration) {
        self.stages.with_label_values(&[stage]).observe(time.as_secs_f64());
    }

    /// Counts a job that was dropped without an answer.
    pub(super) fn dropped(&self, reason: &str) {
        self.dropped.with_label_values(&[reason]).inc();
    }
}

#[cfg(test)]
mod tests {
    use faceline_models::liveness::ScoreMap;
    use faceline_models::manifest::Profile;

    use super::*;

    #[test]
    fn the_thresholds_of_the_liveness_calibration_are_shown() {
        let metrics = Metrics::new();
        let still = ScoreMap { scale: 0.5, offset: 1.0, low: -1.5, medium: 0.5, high: 4.0 };
        let clip = ScoreMap { low: -9.0, medium: -8.0, high: -7.0, ..still };
        let name = "front-desk".to_owned();
        let calibration =
            LivenessCalibration { name, profile: Profile::Strong, models_sha256: None, still, clip };
        WorkerMetrics::liveness_calibration(&metrics, &calibration);
        let text = metrics.encode();
        let shown = |level: &str| {
            let of_level = format!("level=\"{level}\"");
            let mut lines = text.lines().filter(|line| {
                line.starts_with("faceline_worker_liveness_threshold_llr{")
                    && [of_level.as_str(), "calibration=\"front-desk\"", "profile=\"strong\""]
                        .iter()
                        .all(|label| line.contains(label))
            });
            lines.next().and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        let shown = ["LOW", "MEDIUM", "HIGH"].map(shown);
        assert_eq!(shown, ["-1.5", "0.5", "4"].map(|llr| Some(llr.to_owned())), "{text}");
    }
}
