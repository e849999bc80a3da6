//! The limiter that gateways share, and whether it is reachable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time;

use super::limiter::RateLimiter;
use super::metrics::{Limiter, RateMetrics};
use super::terms::Terms;
use super::verdict::Verdict;

/// The shared limiter.
pub(super) struct SharedLimiter {
    limiter: Arc<dyn RateLimiter>,
    /// Longest wait of a request for an answer.
    timeout: Duration,
    is_reachable: AtomicBool,
    /// Number of gateways that share the limiter, as of the last heartbeat.
    gateways: AtomicU32,
    metrics: RateMetrics,
}

impl SharedLimiter {
    pub(super) fn new(limiter: Arc<dyn RateLimiter>, timeout: Duration, metrics: RateMetrics) -> Self {
        metrics.set_active(Limiter::Redis);
        metrics.gateways.set(1);
        Self { limiter, timeout, is_reachable: AtomicBool::new(true), gateways: AtomicU32::new(1), metrics }
    }

    /// Number of gateways that share the limiter, including this one.
    pub(super) fn gateways(&self) -> u32 {
        self.gateways.load(Ordering::Relaxed)
    }

    /// Registers this process with the limiter, and updates whether the limiter is reachable.
    pub(super) async fn heartbeat(&self) {
        match self.limiter.heartbeat().await {
            Ok(gateways) => {
                let gateways = gateways.max(1);
                self.gateways.store(gateways, Ordering::Relaxed);
                self.metrics.gateways.set(gateways.into());
                self.set_reachable(true, "");
            }
            Err(error) => self.set_reachable(false, &error.to_string()),
        }
    }

    /// Asks the limiter; `None` if it is unreachable. Once a request has found it unreachable, later requests do not
    /// wait for it until a heartbeat succeeds.
    pub(super) async fn check(&self, key: &str, terms: &Terms) -> Option<Verdict> {
        if !self.is_reachable.load(Ordering::Relaxed) {
            return None;
        }
        match time::timeout(self.timeout, self.limiter.check(key, terms)).await {
            Ok(Ok(verdict)) => return Some(verdict),
            Ok(Err(error)) => self.set_reachable(false, &error.to_string()),
            Err(_) => self.set_reachable(false, "no answer in time"),
        }
        None
    }

    /// Records whether the limiter is reachable, and logs a change.
    fn set_reachable(&self, is_reachable: bool, reason: &str) {
        if self.is_reachable.swap(is_reachable, Ordering::Relaxed) == is_reachable {
            return;
        }
        self.metrics.set_active(if is_reachable { Limiter::Redis } else { Limiter::Fallback });
        let gateways = self.gateways();
        if is_reachable {
            tracing::info!(gateways, "the rate limiter is reachable again: gateways share rates and quotas");
        } else {
            tracing::warn!(
                reason,
                gateways,
                "the rate limiter is unreachable: each gateway enforces its share of rates and quotas"
            );
        }
    }
}
