//! Metrics of fetched pictures.

use std::time::Instant;

use faceline_shared::telemetry::Metrics;
use prometheus::{Histogram, IntCounterVec};

pub(super) struct FetchMetrics {
    fetches: IntCounterVec,
    seconds: Histogram,
}

impl FetchMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            fetches: metrics.counters(
                "faceline_url_fetches_total",
                "Fetches of pictures that callers named by a URL, by outcome.",
                &["outcome"],
            ),
            seconds: metrics
                .seconds("faceline_url_fetch_seconds", "Duration of a fetch of a picture by URL."),
        }
    }

    pub(super) fn fetched(&self, started: Instant, outcome: &str) {
        self.fetches.with_label_values(&[outcome]).inc();
        self.seconds.observe(started.elapsed().as_secs_f64());
    }
}
