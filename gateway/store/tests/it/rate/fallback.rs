//! Tests of a gateway whose Redis is unreachable.

use std::time::Duration;

use faceline_gateway_store::rate::{Rates, Terms};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use faceline_shared::testkit::{CutProxy, Redis};
use tokio::time::Instant;

use super::{burst, month};
use crate::soon;

struct Gateway {
    rates: Rates,
    metrics: Metrics,
}

impl Gateway {
    fn start(url: &str, timeout: Duration) -> Self {
        let mut config = Settings::default();
        config.store.url = url.parse().unwrap();
        config.limits.rate_check_time = timeout;
        let metrics = Metrics::new();
        Self { rates: Rates::start(&config, &metrics).unwrap(), metrics }
    }

    async fn shows(&self, line: &str) {
        let shown = async {
            while !self.metrics.encode().contains(line) {
                tokio::task::yield_now().await;
            }
        };
        soon(shown).await;
    }

    async fn passed(&self, key: &str, terms: &Terms, tries: u32) -> u32 {
        let mut passed = 0;
        for _ in 0..tries {
            passed += u32::from(self.rates.check(key, terms).await.refusal.is_none());
        }
        passed
    }
}

const REDIS: &str = "faceline_gateway_rate_limiter{limiter=\"redis\"} 1";
const FALLBACK: &str = "faceline_gateway_rate_limiter{limiter=\"fallback\"} 1";
const TWO: &str = "faceline_gateway_rate_gateways 2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_gateway_has_its_share_of_the_rate() {
    let mut server = Redis::start().await;
    let timeout = Duration::from_secs(5);
    let gateways = [(); 2].map(|()| Gateway::start(&server.url(), timeout));
    for gateway in &gateways {
        gateway.shows(TWO).await;
    }
    // 20 of 100 are used; both processes share the other 80.
    let terms = Terms { quota: month(100), ..burst(500) };
    for gateway in &gateways {
        assert_eq!(gateway.passed("bought", &terms, 10).await, 10);
    }
    assert_eq!(gateways[0].rates.check("bought", &terms).await.quota.unwrap().remaining, 79);
    assert_eq!(gateways[1].rates.check("bought", &terms).await.quota.unwrap().remaining, 78);

    server.kill9().await;
    for (gateway, left) in gateways.iter().zip([39, 39]) {
        let started = Instant::now();
        let passed = gateway.passed("fast", &burst(10), 50).await;
        let back = started.elapsed().as_secs() as u32;
        assert!((5..=5 + back).contains(&passed), "{passed}");
        assert_eq!(gateway.passed("bought", &terms, 100).await, left);
        assert!(gateway.metrics.encode().contains(FALLBACK));
    }

    server.restart().await;
    for gateway in &gateways {
        gateway.shows(REDIS).await;
        assert_eq!(gateway.passed("new", &burst(500), 10).await, 10);
    }
    assert_eq!(gateways[0].rates.check("new", &burst(500)).await.rate.limit, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_waited_for_once() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let server = Redis::start().await;
    let proxy = CutProxy::start(server.address()).await;
    let gateway = Gateway::start(&server.url_at(proxy.address()), TIMEOUT);
    gateway.shows(REDIS).await;
    gateway.passed("a", &burst(500), 1).await;
    proxy.stall();
    let tries = 100;
    let started = Instant::now();
    assert_eq!(gateway.passed("a", &burst(500), tries).await, tries);
    // If every request waited for the timeout, they would take half a minute.
    assert!(started.elapsed() < TIMEOUT * tries / 2, "{:?}", started.elapsed());
    assert!(gateway.metrics.encode().contains(FALLBACK));
    proxy.pass();
    gateway.shows(REDIS).await;
    let shared = gateway.metrics.encode();
    assert!(shared.contains("rate_checks_total{limiter=\"redis\",outcome=\"allowed\"} 1\n"), "{shared}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let mut config = Settings::default();
    config.store.url = "redis://:s3cret@host:port".parse().unwrap();
    let error = Rates::start(&config, &Metrics::new()).err().unwrap().to_string();
    assert!(error.contains("store.url") && !error.contains("s3cret"), "{error}");
}
