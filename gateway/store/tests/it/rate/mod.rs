//! The limiter port: one suite that both adapters pass, and tests of a gateway whose Redis is unreachable.

mod fallback;
mod suite;

use std::sync::Arc;
use std::time::Duration;

use faceline_gateway_store::rate::local::LocalRates;
use faceline_gateway_store::rate::redis::RedisRates;
use faceline_gateway_store::rate::{Quota, QuotaSpan, Rate, RateLimiter, Terms, Verdict};
use faceline_shared::settings::ClientTls;
use faceline_shared::testkit::Redis;
use tempfile::TempDir;

/// Timeout of the limiter in Redis, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One request per second, and `burst` at once.
const fn burst(burst: u32) -> Terms {
    Terms { rate: Rate { requests_per_second: 1, burst }, quota: None }
}

/// A limiter and its file or server.
trait Fixture {
    async fn start() -> Self;
    fn limiter(&self) -> Arc<dyn RateLimiter>;
    /// The same limiter as a second gateway opens it, or the first one if only one process can open it.
    fn second(&self) -> Arc<dyn RateLimiter>;
    /// Stops the limiter or its server, and starts it again with its data.
    async fn restart(&mut self);
}

struct Local {
    limiter: Arc<LocalRates>,
    folder: TempDir,
}

impl Fixture for Local {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { limiter: Arc::new(LocalRates::open(folder.path()).unwrap()), folder }
    }

    fn limiter(&self) -> Arc<dyn RateLimiter> {
        self.limiter.clone()
    }

    fn second(&self) -> Arc<dyn RateLimiter> {
        self.limiter()
    }

    async fn restart(&mut self) {
        self.limiter.save().unwrap();
        self.limiter = Arc::new(LocalRates::open(self.folder.path()).unwrap());
    }
}

struct Remote {
    server: Redis,
    limiters: [Arc<RedisRates>; 2],
}

impl Fixture for Remote {
    async fn start() -> Self {
        let server = Redis::start_persistent().await;
        let limiters = [(); 2]
            .map(|()| Arc::new(RedisRates::new(&server.url(), &ClientTls::default(), TIMEOUT).unwrap()));
        Self { server, limiters }
    }

    fn limiter(&self) -> Arc<dyn RateLimiter> {
        self.limiters[0].clone()
    }

    fn second(&self) -> Arc<dyn RateLimiter> {
        self.limiters[1].clone()
    }

    async fn restart(&mut self) {
        self.server.kill9().await;
        self.server.restart().await;
    }
}

fn month(requests: u64) -> Option<Quota> {
    Some(Quota { requests, span: QuotaSpan::Month })
}

async fn check(limiter: &dyn RateLimiter, key: &str, terms: &Terms) -> Verdict {
    limiter.check(key, terms).await.unwrap()
}
