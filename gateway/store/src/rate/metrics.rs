//! What operators see of rates and quotas.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::{Bound, Verdict};
use faceline_shared::telemetry::Metrics;

/// Who decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Limiter {
    /// This process, for itself.
    Embedded,
    /// Redis, for all gateways.
    Redis,
    /// This process, with its part of what all may let in, since Redis is away.
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
    present: IntGaugeVec,
    checks: IntCounterVec,
    /// Gateways that share the limiter.
    pub(super) gateways: IntGauge,
}

impl RateMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            present: metrics.gauges(
                "faceline_gateway_rate_limiter",
                "1 for what decides on rates and quotas now: embedded, redis, or fallback while Redis is away.",
                &["limiter"],
            ),
            checks: metrics.counters(
                "faceline_gateway_rate_checks_total",
                "Requests by what decided on them, and what it said: allowed, or what was used up (rate, quota).",
                &["limiter", "outcome"],
            ),
            gateways: metrics.gauge(
                "faceline_gateway_rate_gateways",
                "Gateways that were last seen to share rates and quotas, this one included.",
            ),
        }
    }

    /// From now on `limiter` decides.
    pub(super) fn decides(&self, limiter: Limiter) {
        for each in Limiter::ALL {
            self.present.with_label_values(&[each.label()]).set((each == limiter).into());
        }
    }

    pub(super) fn checked(&self, limiter: Limiter, verdict: &Verdict) {
        let outcome = match verdict.refusal.map(|refusal| refusal.bound) {
            None => "allowed",
            Some(Bound::Rate) => "rate",
            Some(Bound::Quota) => "quota",
        };
        self.checks.with_label_values(&[limiter.label(), outcome]).inc();
    }
}
