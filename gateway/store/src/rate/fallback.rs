//! A limiter that other processes share, and that may be away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::metrics::{Limiter, RateMetrics};
use super::{RateLimiter, Terms, Verdict};

/// The limiter, and whether it is there.
pub(super) struct Shared {
    limiter: Arc<dyn RateLimiter>,
    /// A request does not wait longer.
    patience: Duration,
    is_there: AtomicBool,
    /// Gateways last seen.
    gateways: AtomicU32,
    metrics: RateMetrics,
}

impl Shared {
    pub(super) fn new(limiter: Arc<dyn RateLimiter>, patience: Duration, metrics: RateMetrics) -> Self {
        metrics.decides(Limiter::Redis);
        metrics.gateways.set(1);
        Self { limiter, patience, is_there: AtomicBool::new(true), gateways: AtomicU32::new(1), metrics }
    }

    /// Gateways last seen, this one included.
    pub(super) fn gateways(&self) -> u32 {
        self.gateways.load(Ordering::Relaxed)
    }

    /// Says that this process is there, and finds out whether the limiter is.
    pub(super) async fn beat(&self) {
        match self.limiter.beat().await {
            Ok(gateways) => {
                let gateways = gateways.max(1);
                self.gateways.store(gateways, Ordering::Relaxed);
                self.metrics.gateways.set(gateways.into());
                self.set(true, "");
            }
            Err(error) => self.set(false, &error.to_string()),
        }
    }

    /// What the limiter says; `None` where it is away. Of those who find that out together each waits for it once, and
    /// nobody after them.
    pub(super) async fn ask(&self, key: &str, terms: &Terms) -> Option<Verdict> {
        if !self.is_there.load(Ordering::Relaxed) {
            return None;
        }
        match timeout(self.patience, self.limiter.check(key, terms)).await {
            Ok(Ok(verdict)) => return Some(verdict),
            Ok(Err(error)) => self.set(false, &error.to_string()),
            Err(_) => self.set(false, "no answer in time"),
        }
        None
    }

    /// Notes whether it is there, and says so where that is news.
    fn set(&self, is_there: bool, why_not: &str) {
        if self.is_there.swap(is_there, Ordering::Relaxed) == is_there {
            return;
        }
        self.metrics.decides(if is_there { Limiter::Redis } else { Limiter::Fallback });
        let gateways = self.gateways();
        if is_there {
            tracing::info!(gateways, "rates and quotas are shared again");
        } else {
            tracing::warn!(reason = why_not, gateways, "rates and quotas are divided between gateways");
        }
    }
}
