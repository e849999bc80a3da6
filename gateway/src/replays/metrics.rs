//! Metrics of replays.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faceline_shared::job::JobId;
use faceline_shared::telemetry::Metrics;
use prometheus::{Histogram, IntCounterVec};

/// Bucket bounds in seconds of a replay's duration: seconds, or minutes while replays wait for workers.
const SECONDS_BOUNDS: &[f64] = &[0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct ReplayMetrics {
    /// Replays that ended, by status and reason.
    ended: IntCounterVec,
    /// Publishes of jobs, by outcome.
    pub(super) published: IntCounterVec,
    /// Results that changed nothing, by reason.
    pub(super) dropped: IntCounterVec,
    /// Time from the accepted upload to the end, in seconds.
    seconds: Histogram,
}

impl ReplayMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let registered = Self {
            ended: metrics.counters(
                "faceline_replays_ended_total",
                "Replays that ended, by status and reason.",
                &["status", "reason"],
            ),
            published: metrics.counters(
                "faceline_replay_jobs_published_total",
                "Publishes of replays' jobs to the broker, by outcome of the publish.",
                &["outcome"],
            ),
            dropped: metrics.counters(
                "faceline_replay_results_dropped_total",
                "Results of replays that changed nothing, by reason: duplicate, other_job, session_gone, left_to_retry, unreadable.",
                &["reason"],
            ),
            seconds: metrics
                .histograms(
                    "faceline_replay_seconds",
                    "Time of a replay from its accepted upload to its end.",
                    &[],
                    SECONDS_BOUNDS,
                )
                .with_label_values::<&str>(&[]),
        };
        // Prometheus misses the first increment of a counter that did not exist before, and these increments are
        // rare.
        for reason in ["duplicate", "other_job", "session_gone", "left_to_retry", "unreadable"] {
            registered.dropped.with_label_values(&[reason]);
        }
        registered
    }

    /// Counts a replay that ended.
    pub(super) fn ended(&self, status: &str, reason: &str, job: Option<JobId>) {
        self.ended.with_label_values(&[status, reason]).inc();
        if let Some(age) = job.and_then(age) {
            self.seconds.observe(age.as_secs_f64());
        }
    }
}

/// The time since a job's id was created (UUID of version 7), which is when its upload was accepted.
fn age(job: JobId) -> Option<Duration> {
    let (seconds, nanos) = job.get_timestamp()?.to_unix();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.saturating_sub(Duration::new(seconds, nanos)))
}
