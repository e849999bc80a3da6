//! Metrics of rates and quotas.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::verdict::{Bound, Verdict};
use faceline_shared::telemetry::Metrics;

/// The limiter that decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Limiter {
    /// This process alone.
    Embedded,
    /// Redis, for all gateways.
    Redis,
    /// This process with its share of the limits, because Redis is unreachable.
    Fallback,
}

impl Limiter {
    const ALL: [Self; 3] = [Self::Embedded, Self::Redis, Self::Fallback];

    fn label(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Fallback => "fallback",
        }
    }
}

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct RateMetrics {
    active: IntGaugeVec,
    checks: IntCounterVec,
    /// Number of gateways that share the limiter.
    pub(super) gateways: IntGauge,
}

impl RateMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            active: metrics.gauges(
                "faceline_gateway_rate_limiter",
                "1 for the limiter that decides now: embedded, redis, or fallback while Redis is unreachable.",
                &["limiter"],
            ),
            checks: metrics.counters(
                "faceline_gateway_rate_checks_total",
                "Requests by the limiter that decided and its outcome: allowed, or the limit that is used up (rate, quota).",
                &["limiter", "outcome"],
            ),
            gateways: metrics.gauge(
                "faceline_gateway_rate_gateways",
                "Gateways that share rates and quotas, including this one.",
            ),
        }
    }

    /// Records that `limiter` decides from now on.
    pub(super) fn set_active(&self, limiter: Limiter) {
        for each in Limiter::ALL {
            self.active.with_label_values(&[each.label()]).set((each == limiter).into());
        }
    }

    /// Counts a decision.
    pub(super) fn checked(&self, limiter: Limiter, verdict: &Verdict) {
        let outcome = match verdict.refusal.map(|refusal| refusal.bound) {
            None => "allowed",
            Some(Bound::Rate) => "rate",
            Some(Bound::Quota) => "quota",
        };
        self.checks.with_label_values(&[limiter.label(), outcome]).inc();
    }
}
