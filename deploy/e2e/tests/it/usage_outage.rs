//! Usage records while Redis is unavailable: none is lost and none counts twice, even if the gateway is killed as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use faceline_shared::testkit::Redis;
use futures_util::future::join_all;
use reqwest::Client;
use reqwest::multipart::Form;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{ExclusiveRun, Process};
use crate::usage::export;

/// Requests during an outage: 20 s at 500 requests a second.
const REQUESTS: usize = 10_000;
/// Number of concurrent requests.
const CALLERS: usize = 16;

/// Sends requests until the numbers reach `end`, and returns the duration of each. Each request is refused for its
/// content, so it needs no worker and no session, and has a usage record.
async fn send_until(url: &str, number: &Arc<AtomicUsize>, end: usize) -> Vec<Duration> {
    let client = Client::new();
    let callers = (0..CALLERS).map(|_| {
        let (client, number, url) =
            (client.clone(), Arc::clone(number), format!("{url}/bioserver-app/v2/ages"));
        tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let own = number.fetch_add(1, Ordering::Relaxed);
                if own >= end {
                    return times;
                }
                let request = client.post(&url).multipart(Form::new().text("threshold", "none"));
                let request =
                    request.header("apikey", "demo").header("x-request-id", format!("request-{own}"));
                let sent = Instant::now();
                let answer = request.send().await.unwrap();
                times.push(sent.elapsed());
                assert_eq!(answer.status(), 400, "request {own}");
            }
        })
    });
    let times = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
    number.store(end, Ordering::Relaxed);
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_an_outage_arrive_once_though_the_gateway_is_killed() {
    let _exclusive = ExclusiveRun::begin().await;
    let mut redis = Redis::start_persistent().await;
    let folder = TempDir::new().unwrap();
    let redis_url = redis.url();
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("store.url", redis_url.as_str()),
        ("usage.interval", "200ms"),
        ("inference.sessions", "1"),
        ("limits.requests_per_second", "1000000"),
        ("limits.burst", "1000000"),
    ];
    let mut faceline = Process::start("faceline", &settings).await;
    let number = Arc::new(AtomicUsize::new(0));
    let url = faceline.url().await;
    send_until(&url, &number, 200).await;

    redis.stop().await;
    let began = Instant::now();
    let mut times = send_until(&url, &number, 200 + REQUESTS).await;
    times.sort_unstable();
    let slow = 8 * CALLERS;
    let (median, last) = (times[times.len() / 2], times[times.len() - slow]);
    println!(
        "{REQUESTS} requests in {:?}; median {median:?}, all but {slow} within {last:?}",
        began.elapsed()
    );
    // Answers do not wait for an unavailable store. The first ones wait until the gateway detects the failure, and a
    // pause of the machine delays as many again.
    assert!(median < Duration::from_millis(250), "{median:?}");
    assert!(last < Duration::from_secs(2), "{last:?}");
    let deferred = faceline.metric("faceline_usage_deferred_records").await;
    assert_eq!(deferred, REQUESTS as f64);
    assert_eq!(faceline.metric("faceline_usage_records_total{outcome=\"lost\"}").await, 0.0);

    // The files outlive the process. Redis becomes available again under load.
    faceline.kill().await;
    faceline = Process::spawn("faceline", &settings);
    let url = faceline.url().await;
    faceline.metric_is("faceline_usage_deferred_records", |records| records >= REQUESTS as f64).await;
    send_until(&url, &number, 200 + REQUESTS + 100).await;
    redis.restart().await;
    send_until(&url, &number, 200 + REQUESTS + 200).await;
    faceline.metric_is("faceline_usage_deferred_records", |records| records == 0.0).await;
    // If Redis stopped between lease and move, records of the killed gateway are leased for a while longer.
    faceline.metric_is("faceline_usage_rows", |records| records == 0.0).await;
    let (code, log) = faceline.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(std::fs::read_dir(folder.path().join("usage-deferred")).unwrap().count(), 0);

    let exported = export(&folder, "faceline", &["--records", "--format", "json"]).await;
    let mut billed: BTreeMap<String, usize> = BTreeMap::new();
    for line in exported.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        *billed.entry(record["request"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let missing: Vec<_> = (0..200 + REQUESTS + 200)
        .map(|own| format!("request-{own}"))
        .filter(|id| !billed.contains_key(id))
        .collect();
    assert!(missing.is_empty(), "{} records are missing, such as {:?}", missing.len(), missing.first());
    assert!(billed.values().all(|records| *records == 1), "a request is billed twice");
    assert_eq!(billed.len(), 200 + REQUESTS + 200);
}
