//! Metrics of the outbox, by lane.

use faceline_gateway_store::outbox::Lane;
use faceline_shared::telemetry::Metrics;
use prometheus::{IntCounterVec, IntGaugeVec};

/// The metrics of all lanes.
#[derive(Clone, Debug)]
pub(crate) struct OutboxMetrics {
    /// Processed rows by lane and outcome.
    processed: IntCounterVec,
    /// Rows in the outbox by lane, of all gateways.
    depth: IntGaugeVec,
}

impl OutboxMetrics {
    /// Registers the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let registered = Self {
            processed: metrics.counters(
                "faceline_outbox_rows_total",
                "Processed rows of the outbox by lane and outcome: done, failed (to be retried), unreadable.",
                &["lane", "outcome"],
            ),
            depth: metrics.gauges(
                "faceline_outbox_rows",
                "Rows in the outbox by lane, due or not, of all gateways.",
                &["lane"],
            ),
        };
        // Alerts need the value 0 before the first row. Usage records have metrics of their own.
        for lane in [Lane::Sessions, Lane::Replays, Lane::Callbacks, Lane::DeadCallbacks] {
            registered.set_depth(lane, 0);
            for outcome in ["done", "failed", "unreadable"] {
                registered.processed.with_label_values(&[label(lane), outcome]);
            }
        }
        registered
    }

    /// Counts a processed row.
    pub(super) fn processed(&self, lane: Lane, outcome: &str) {
        self.processed.with_label_values(&[label(lane), outcome]).inc();
    }

    /// Sets the number of rows of a lane.
    pub(super) fn set_depth(&self, lane: Lane, rows: u64) {
        self.depth.with_label_values(&[label(lane)]).set(rows.cast_signed());
    }
}

fn label(lane: Lane) -> &'static str {
    match lane {
        Lane::Sessions => "sessions",
        Lane::Usage => "usage",
        Lane::Replays => "replays",
        Lane::Callbacks => "callbacks",
        Lane::DeadCallbacks => "dead_callbacks",
    }
}
