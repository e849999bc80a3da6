//! The rate limiter of a gateway, with or without Redis.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::fallback::SharedLimiter;
use super::limiter::{RateError, RateLimiter};
use super::local::LocalRates;
use super::metrics::{Limiter, RateMetrics};
use super::redis::RedisRates;
use super::terms::Terms;
use super::verdict::Verdict;
use faceline_shared::settings::{Settings, StoreUrl};
use faceline_shared::telemetry::Metrics;

/// Interval at which quota counts are saved (embedded), or this gateway registers with Redis.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Rates and quotas of all keys.
///
/// With embedded stores this process decides. With Redis a script in Redis decides for all gateways together. While
/// Redis is unreachable, each gateway enforces its share: the rate, the burst and the last known rest of the quota,
/// divided by the number of gateways in the last heartbeat. The first request without an answer in time starts this
/// fallback, and later requests do not wait. A successful heartbeat, which runs every second, ends it.
pub struct Rates {
    local: Arc<LocalRates>,
    shared: Option<Arc<SharedLimiter>>,
    metrics: RateMetrics,
    _background: AbortOnDropHandle<()>,
}

impl Rates {
    /// Starts the limiter for `config.store.url`, with a background task on the current runtime. A server need not be
    /// reachable yet.
    ///
    /// # Errors
    /// [`RateError::Url`]; [`RateError::File`] and [`RateError::Form`] if the quota counts cannot be read.
    pub fn start(config: &Settings, metrics: &Metrics) -> Result<Self, RateError> {
        let metrics = RateMetrics::new(metrics);
        match &config.store.url {
            StoreUrl::Embedded => Ok(Self::embedded(LocalRates::open(&config.data_dir)?, metrics)),
            StoreUrl::Redis(url) => {
                let redis = RedisRates::new(url, &config.store.tls, config.limits.rate_check_time)?;
                Ok(Self::shared(Arc::new(redis), config.limits.rate_check_time, metrics))
            }
        }
    }

    fn embedded(local: LocalRates, metrics: RateMetrics) -> Self {
        metrics.set_active(Limiter::Embedded);
        metrics.gateways.set(1);
        let local = Arc::new(local);
        let counts = Arc::clone(&local);
        let saving = async move {
            let mut beats = interval(HEARTBEAT_INTERVAL);
            loop {
                beats.tick().await;
                save(&counts).await;
            }
        };
        Self { local, shared: None, metrics, _background: AbortOnDropHandle::new(tokio::spawn(saving)) }
    }

    fn shared(limiter: Arc<dyn RateLimiter>, timeout: Duration, metrics: RateMetrics) -> Self {
        let shared = Arc::new(SharedLimiter::new(limiter, timeout, metrics.clone()));
        let beating = Arc::clone(&shared);
        let beating = async move {
            let mut beats = interval(HEARTBEAT_INTERVAL);
            // After a slow answer the next heartbeat comes a full interval later, not at once.
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                beating.heartbeat().await;
            }
        };
        let background = AbortOnDropHandle::new(tokio::spawn(beating));
        Self { local: Arc::new(LocalRates::new()), shared: Some(shared), metrics, _background: background }
    }

    /// Counts a request of `key`, or refuses it.
    pub async fn check(&self, key: &str, terms: &Terms) -> Verdict {
        let (limiter, verdict) = match &self.shared {
            None => (Limiter::Embedded, self.local.check_share(key, terms, 1)),
            Some(shared) => match shared.check(key, terms).await {
                Some(verdict) => {
                    if let (Some(quota), Some(status)) = (terms.quota, verdict.quota) {
                        self.local.learn(key, quota, status.limit - status.remaining);
                    }
                    (Limiter::Redis, verdict)
                }
                None => (Limiter::Fallback, self.local.check_share(key, terms, shared.gateways())),
            },
        };
        self.metrics.checked(limiter, &verdict);
        verdict
    }

    /// Saves the counts that survive the process.
    pub async fn end(&self) {
        save(&self.local).await;
    }
}

async fn save(local: &Arc<LocalRates>) {
    let local = Arc::clone(local);
    match tokio::task::spawn_blocking(move || local.save()).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::warn!(%error, "quota counts cannot be saved"),
        Err(error) => tracing::error!(%error, "quota counts cannot be saved"),
    }
}
