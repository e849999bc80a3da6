//! What operators see of fetched pictures.

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
                "Pictures that callers named by a URL, by what came of them.",
                &["outcome"],
            ),
            seconds: metrics.seconds("faceline_url_fetch_seconds", "Time that fetching a picture took."),
        }
    }

    pub(super) fn fetched(&self, started: Instant, outcome: &str) {
        self.fetches.with_label_values(&[outcome]).inc();
        self.seconds.observe(started.elapsed().as_secs_f64());
    }
}
