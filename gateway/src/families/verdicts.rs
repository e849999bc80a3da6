//! Counts the verdicts on callers' pictures and videos.
//!
//! Comparisons of Biometric Services are not counted here, because their callers decide by the score. Replays have a
//! metric of their own.

use faceline_shared::telemetry::Metrics;
use prometheus::IntCounterVec;

/// The service's decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// A living person, or the same person.
    Accepted,
    /// An attack, or another person.
    Rejected,
    /// The pictures do not allow a decision.
    NotJudged,
}

/// The metric. Clones share it.
#[derive(Clone, Debug)]
pub struct VerdictMetrics(IntCounterVec);

impl VerdictMetrics {
    /// Registers the metric.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self(metrics.counters(
            "faceline_biometric_verdicts_total",
            "Judged requests by operation, verdict (accepted, rejected, not_judged) and reason: the code in the answer, or none. Scores of face_liveness count against liveness.security_level.",
            &["operation", "verdict", "reason"],
        ))
    }

    /// Counts a verdict. `reason` is the first code in the answer.
    pub(crate) fn count(&self, operation: &str, verdict: Verdict, reason: Option<&str>) {
        let verdict = match verdict {
            Verdict::Accepted => "accepted",
            Verdict::Rejected => "rejected",
            Verdict::NotJudged => "not_judged",
        };
        self.0.with_label_values(&[operation, verdict, reason.unwrap_or("none")]).inc();
    }
}
