//! What a gateway asks about rates and quotas, whatever becomes of Redis.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::fallback::Shared;
use super::local::LocalRates;
use super::metrics::{Limiter, RateMetrics};
use super::redis::RedisRates;
use super::{RateError, RateLimiter, Terms, Verdict};
use faceline_shared::settings::{Settings, StoreUrl};
use faceline_shared::telemetry::Metrics;

/// How often counts are kept, and Redis is told that this gateway is there or asked whether it is back.
const BEAT: Duration = Duration::from_secs(1);

/// Rates and quotas of all keys.
///
/// With embedded stores this process decides. With Redis that does, for all gateways together. While Redis is away, each
/// gateway lets in its part: rates, bursts and what it knew to be left of quotas, divided by the gateways last seen. The
/// first request that waits in vain makes it so, and from then on none waits; once a second Redis is asked whether it is back.
pub struct Rates {
    local: Arc<LocalRates>,
    shared: Option<Arc<Shared>>,
    metrics: RateMetrics,
    _beside: AbortOnDropHandle<()>,
}

impl Rates {
    /// The limiter for `config.store.url`. It keeps itself going on the present runtime.
    ///
    /// # Errors
    /// An address that cannot be understood, or counts that cannot be read. A server that is merely away is waited for.
    pub fn start(config: &Settings, metrics: &Metrics) -> Result<Self, RateError> {
        let metrics = RateMetrics::new(metrics);
        match &config.store.url {
            StoreUrl::Embedded => Ok(Self::embedded(LocalRates::open(&config.data_dir)?, metrics)),
            StoreUrl::Redis(url) => {
                let redis = RedisRates::new(url, config.limits.rate_check_time)?;
                Ok(Self::shared(Arc::new(redis), config.limits.rate_check_time, metrics))
            }
        }
    }

    fn embedded(local: LocalRates, metrics: RateMetrics) -> Self {
        metrics.decides(Limiter::Embedded);
        metrics.gateways.set(1);
        let local = Arc::new(local);
        let kept = Arc::clone(&local);
        let keeping = async move {
            let mut beats = interval(BEAT);
            loop {
                beats.tick().await;
                keep(&kept).await;
            }
        };
        Self { local, shared: None, metrics, _beside: AbortOnDropHandle::new(tokio::spawn(keeping)) }
    }

    fn shared(limiter: Arc<dyn RateLimiter>, patience: Duration, metrics: RateMetrics) -> Self {
        let shared = Arc::new(Shared::new(limiter, patience, metrics.clone()));
        let beating = Arc::clone(&shared);
        let beating = async move {
            let mut beats = interval(BEAT);
            // A server that was slow is not asked twice at once.
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                beating.beat().await;
            }
        };
        let beside = AbortOnDropHandle::new(tokio::spawn(beating));
        Self { local: Arc::new(LocalRates::new()), shared: Some(shared), metrics, _beside: beside }
    }

    /// Counts a request of `key`, or says why it may not pass.
    pub async fn check(&self, key: &str, terms: &Terms) -> Verdict {
        let (limiter, verdict) = match &self.shared {
            None => (Limiter::Embedded, self.local.check_share(key, terms, 1)),
            Some(shared) => match shared.ask(key, terms).await {
                Some(verdict) => {
                    if let (Some(quota), Some(standing)) = (terms.quota, verdict.quota) {
                        self.local.learn(key, quota, standing.limit - standing.remaining);
                    }
                    (Limiter::Redis, verdict)
                }
                None => (Limiter::Fallback, self.local.check_share(key, terms, shared.gateways())),
            },
        };
        self.metrics.checked(limiter, &verdict);
        verdict
    }

    /// Keeps what has to survive the process.
    pub async fn end(&self) {
        keep(&self.local).await;
    }
}

async fn keep(local: &Arc<LocalRates>) {
    let local = Arc::clone(local);
    match tokio::task::spawn_blocking(move || local.keep()).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::warn!(%error, "counts of quotas are not kept"),
        Err(error) => tracing::error!(%error, "counts of quotas are not kept"),
    }
}
