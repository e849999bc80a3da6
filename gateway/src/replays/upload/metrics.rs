//! Metrics of uploads.

use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::fault::Fault;

/// The outcome of an upload whose caller disconnected.
const CALLER_LEFT: &str = "caller_left";

/// Metrics of uploads.
pub(super) struct UploadMetrics {
    uploads: IntCounterVec,
    in_progress: IntGauge,
    pub(super) bytes: IntCounter,
}

/// The outcome of an upload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UploadOutcome {
    /// The upload has become the replay's video.
    Accepted,
    /// The replay already has this video.
    Repeated,
}

/// An upload in progress. It is counted with its outcome when it is dropped.
pub(crate) struct CountedUpload {
    uploads: IntCounterVec,
    in_progress: IntGauge,
    outcome: &'static str,
}

impl UploadMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            uploads: metrics.counters(
                "faceline_replay_uploads_total",
                "Uploads of replays, by outcome: accepted, repeated, caller_left, or the cause of a refusal.",
                &["outcome"],
            ),
            in_progress: metrics
                .gauge("faceline_replay_uploads_in_progress", "Uploads of replays in progress."),
            bytes: metrics.counter(
                "faceline_replay_upload_bytes_total",
                "Bytes of media that uploads of replays brought.",
            ),
        }
    }

    pub(super) fn count(&self) -> CountedUpload {
        self.in_progress.inc();
        CountedUpload {
            uploads: self.uploads.clone(),
            in_progress: self.in_progress.clone(),
            outcome: CALLER_LEFT,
        }
    }
}

impl CountedUpload {
    /// Records the outcome.
    pub(crate) fn end(mut self, outcome: Result<UploadOutcome, &Fault>) {
        self.outcome = match outcome {
            Ok(UploadOutcome::Accepted) => "accepted",
            Ok(UploadOutcome::Repeated) => "repeated",
            Err(fault) => fault.row().label,
        };
    }
}

impl Drop for CountedUpload {
    fn drop(&mut self) {
        self.in_progress.dec();
        self.uploads.with_label_values(&[self.outcome]).inc();
    }
}
