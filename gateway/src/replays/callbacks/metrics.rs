//! Metrics of callbacks.

use faceline_shared::telemetry::Metrics;
use prometheus::{Histogram, IntCounter, IntCounterVec};

/// The metrics. The numbers of waiting and of dead callbacks are in `faceline_outbox_rows`.
#[derive(Clone, Debug)]
pub(super) struct CallbackMetrics {
    /// Attempts to send a callback, by outcome.
    pub(super) attempts: IntCounterVec,
    /// Callbacks that nobody accepted before their session ended.
    pub(super) dead: IntCounter,
    /// Duration of an attempt in seconds.
    pub(super) seconds: Histogram,
}

impl CallbackMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            attempts: metrics.counters(
                "faceline_callbacks_total",
                "Attempts to send a callback, by outcome: delivered, status, redirect, unreachable, tls, timeout, address, host, url.",
                &["outcome"],
            ),
            dead: metrics.counter(
                "faceline_callbacks_dead_total",
                "Callbacks that nobody accepted before their session ended.",
            ),
            seconds: metrics.seconds("faceline_callback_seconds", "Duration of an attempt to send a callback."),
        }
    }
}
