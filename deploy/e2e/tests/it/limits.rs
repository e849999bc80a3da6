//! One rate limit for two gateways over Redis, and the limit of each gateway while Redis is unavailable.

use std::time::{Duration, Instant};

use faceline_shared::testkit::Redis;
use futures_util::future::join_all;
use reqwest::Client;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::{ExclusiveRun, Process};

const RATE: f64 = 40.0;
/// The burst is two seconds of the rate, so a machine that stalls for that long loses no requests.
const BURST: f64 = 80.0;
/// Duration of the load.
const LOAD: Duration = Duration::from_secs(4);
/// Number of callers of each gateway. Each sends its next request as soon as it has an answer.
const CALLERS: usize = 4;

/// Sends requests to all gateways as fast as they answer. Returns the number of admitted requests and of all requests.
async fn load(urls: &[String; 2]) -> (f64, f64) {
    let started = Instant::now();
    let caller = async |url: &String| {
        let client = Client::new();
        let (mut passed, mut asked) = (0.0, 0.0);
        while started.elapsed() < LOAD {
            let request = client.get(format!("{url}/bioserver-app/v2/capabilities"));
            let answer = request.header("apikey", "demo").send().await.unwrap();
            asked += 1.0;
            match answer.status().as_u16() {
                // A 503 counts as admitted, too: the rate limit admitted the request, but the store is unavailable.
                200 | 503 => passed += 1.0,
                429 => assert!(answer.headers().contains_key("ratelimit-reset")),
                status => panic!("{status}"),
            }
        }
        (passed, asked)
    };
    let callers = urls.iter().flat_map(|url| [url; CALLERS]).map(caller);
    let counts = join_all(callers).await;
    counts.into_iter().fold((0.0, 0.0), |(passed, asked), (some, more)| (passed + some, asked + more))
}

/// The server's time in seconds since 1970.
async fn time_of(redis: &Redis) -> f64 {
    let mut stream = TcpStream::connect(redis.address()).await.unwrap();
    stream.write_all(b"TIME\r\nQUIT\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let numbers: Vec<f64> = answer.lines().filter_map(|line| line.parse().ok()).collect();
    numbers[0] + numbers[1] / 1e6
}

fn assert_within(passed: f64, asked: f64, limit: f64) {
    println!("{passed} of {asked} were let in, the limit is {limit:.1}");
    assert!(asked >= 5.0 * limit, "{asked} are not five times {limit}");
    assert!((0.95 * limit..=1.05 * limit).contains(&passed), "{passed} instead of {limit}");
}

#[tokio::test]
async fn two_gateways_on_one_redis_enforce_one_limit_also_when_it_is_stopped() {
    let _exclusive = ExclusiveRun::begin().await;
    let mut redis = Redis::start().await;
    let folder = TempDir::new().unwrap();
    let (redis_url, rate, burst) = (redis.url(), RATE.to_string(), BURST.to_string());
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("store.url", redis_url.as_str()),
        ("limits.requests_per_second", rate.as_str()),
        ("limits.burst", burst.as_str()),
        // A longer time limit, because a busy machine answers late.
        ("limits.rate_check_time", "5s"),
    ];
    let start = || Process::start("faceline-gateway", &settings);
    let (mut one, mut other) = tokio::join!(start(), start());
    let urls = [one.url().await, other.url().await];
    for gateway in [&mut one, &mut other] {
        gateway.metric_is("faceline_gateway_rate_gateways", |gateways| gateways == 2.0).await;
    }

    let before = time_of(&redis).await;
    let (passed, asked) = load(&urls).await;
    let elapsed = time_of(&redis).await - before;
    assert_within(passed, asked, BURST + RATE * elapsed);
    for gateway in [&mut one, &mut other] {
        let by_redis = "faceline_gateway_rate_checks_total{limiter=\"redis\",outcome=\"allowed\"}";
        assert!(gateway.metric(by_redis).await > 0.0, "one gateway admitted no request");
    }

    redis.kill9().await;
    for gateway in [&mut one, &mut other] {
        gateway.metric_is("faceline_gateway_rate_limiter{limiter=\"fallback\"}", |is_so| is_so == 1.0).await;
    }
    let started = Instant::now();
    let (passed, asked) = load(&urls).await;
    assert_within(passed, asked, BURST + RATE * started.elapsed().as_secs_f64());
}
