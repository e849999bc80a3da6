//! The suite of the limiter port, which both adapters pass.

use std::time::Duration;

use faceline_gateway_store::rate::{Bound, Quota, QuotaSpan, Rate, Terms};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Fixture, burst, check, month};

/// Makes each function a test of each limiter.
macro_rules! conformance {
    ($($test:ident)*) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::rate::Local>().await; })*
        }
        mod remote {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<crate::rate::Remote>().await; })*
        }
    };
}

conformance!(
    a_burst_passes_and_no_more
    the_rate_holds_in_the_long_run
    who_waits_as_told_passes
    a_rate_that_is_changed_holds_at_once
    a_quota_is_counted_down_and_then_holds_until_the_span_ends
    what_is_refused_takes_nothing
    a_quota_survives_a_restart
    spans_are_counted_apart
    those_who_come_together_pass_once
);

async fn a_burst_passes_and_no_more<F: Fixture>() {
    let fixture = F::start().await;
    let limiter = fixture.limiter();
    let terms = Terms { rate: Rate { requests_per_second: 1, burst: 5 }, quota: None };
    let started = Instant::now();
    for left in (0..5).rev() {
        let verdict = check(&*limiter, "a", &terms).await;
        let back = started.elapsed().as_secs();
        assert_eq!((verdict.refusal, verdict.rate.limit), (None, 5));
        assert!((left..=left + back).contains(&verdict.rate.remaining), "{verdict:?}");
        let until_full = Duration::from_secs(5 - left);
        assert!(verdict.rate.reset <= until_full && verdict.rate.reset + started.elapsed() >= until_full);
    }
    let refused = check(&*limiter, "a", &terms).await;
    if started.elapsed() < Duration::from_secs(1) {
        let refusal = refused.refusal.unwrap();
        assert_eq!((refusal.bound, refused.rate.remaining), (Bound::Rate, 0));
        assert!(refusal.wait <= Duration::from_secs(1) && refused.rate.reset > Duration::from_secs(3));
    }
    assert_eq!(check(&*limiter, "b", &terms).await.refusal, None, "another key is not concerned");
}

async fn the_rate_holds_in_the_long_run<F: Fixture>() {
    let fixture = F::start().await;
    let (one, other) = (fixture.limiter(), fixture.second());
    // The interval between requests is not a whole number of any unit.
    let terms = Terms { rate: Rate { requests_per_second: 333, burst: 7 }, quota: None };
    check(&*one, "warm", &terms).await;
    check(&*other, "warm", &terms).await;
    let started = Instant::now();
    let mut passed = 0;
    while started.elapsed() < Duration::from_millis(600) {
        for limiter in [&one, &other] {
            passed += u32::from(check(&**limiter, "a", &terms).await.refusal.is_none());
        }
    }
    let most = 7.0 + 333.0 * started.elapsed().as_secs_f64();
    assert!(f64::from(passed) <= most + 1.0, "{passed} of {most}");
    assert!(passed > 7);
}

async fn who_waits_as_told_passes<F: Fixture>() {
    let fixture = F::start().await;
    let limiter = fixture.limiter();
    let terms = Terms { rate: Rate { requests_per_second: 10, burst: 1 }, quota: None };
    let mut refused = 0;
    for _ in 0..4 {
        if let Some(refusal) = check(&*limiter, "a", &terms).await.refusal {
            refused += 1;
            assert!(refusal.wait <= Duration::from_millis(100), "{refusal:?}");
            // The timer and the server's clock may differ by this much.
            sleep(refusal.wait + Duration::from_millis(2)).await;
            assert_eq!(check(&*limiter, "a", &terms).await.refusal, None);
        }
    }
    assert!(refused > 0);
}

async fn a_rate_that_is_changed_holds_at_once<F: Fixture>() {
    let fixture = F::start().await;
    let limiter = fixture.limiter();
    for _ in 0..1000 {
        assert_eq!(check(&*limiter, "a", &burst(1000)).await.refusal, None);
    }
    // The old burst would take a thousand seconds to refill. The new rate bounds the wait.
    let verdict = check(&*limiter, "a", &burst(2)).await;
    assert!(verdict.refusal.is_none_or(|refusal| refusal.wait <= Duration::from_secs(1)), "{verdict:?}");
    assert_eq!(verdict.rate.limit, 2);
}

async fn a_quota_is_counted_down_and_then_holds_until_the_span_ends<F: Fixture>() {
    let fixture = F::start().await;
    let terms = Terms { quota: month(3), ..burst(100) };
    for (limiter, left) in [fixture.limiter(), fixture.second(), fixture.limiter()].iter().zip([2, 1, 0]) {
        let verdict = check(&**limiter, "a", &terms).await;
        let quota = verdict.quota.unwrap();
        assert_eq!((verdict.refusal, quota.limit, quota.remaining), (None, 3, left));
        assert_eq!(verdict.tightest(), quota);
    }
    let verdict = check(&*fixture.second(), "a", &terms).await;
    let refusal = verdict.refusal.unwrap();
    assert_eq!((refusal.bound, verdict.tightest().remaining), (Bound::Quota, 0));
    assert!(refusal.wait <= QuotaSpan::Month.length() && refusal.wait > Duration::ZERO, "{refusal:?}");
    assert_eq!(check(&*fixture.limiter(), "a", &burst(100)).await.quota, None);
    assert_eq!(check(&*fixture.limiter(), "b", &terms).await.refusal, None);
    // A larger quota takes effect immediately.
    let more = Terms { quota: month(5), ..terms };
    assert_eq!(check(&*fixture.limiter(), "a", &more).await.quota.unwrap().remaining, 1);
}

async fn what_is_refused_takes_nothing<F: Fixture>() {
    let fixture = F::start().await;
    let limiter = fixture.limiter();
    let terms = Terms { quota: month(1000), ..burst(2) };
    let mut passed = 0;
    for _ in 0..50 {
        let verdict = check(&*limiter, "by rate", &terms).await;
        passed += u64::from(verdict.refusal.is_none());
        assert_eq!(verdict.quota.unwrap().remaining, 1000 - passed);
    }
    assert!(passed < 50);
    let terms = Terms { quota: month(1), ..burst(10) };
    for _ in 0..50 {
        check(&*limiter, "by quota", &terms).await;
    }
    let verdict = check(&*limiter, "by quota", &Terms { quota: month(9), ..terms }).await;
    assert_eq!((verdict.refusal, verdict.quota.unwrap().remaining), (None, 7));
    assert!(verdict.rate.remaining >= 8, "{verdict:?}");
}

async fn a_quota_survives_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let terms = Terms { quota: month(10), ..burst(100) };
    for left in [9, 8] {
        let verdict = check(&*fixture.limiter(), "a", &terms).await;
        assert_eq!(verdict.quota.unwrap().remaining, left);
        fixture.restart().await;
    }
    assert_eq!(check(&*fixture.limiter(), "a", &terms).await.quota.unwrap().remaining, 7);
}

async fn spans_are_counted_apart<F: Fixture>() {
    let fixture = F::start().await;
    let limiter = fixture.limiter();
    let day = Some(Quota { requests: 5, span: QuotaSpan::Day });
    let verdict = check(&*limiter, "a", &Terms { quota: day, ..burst(100) }).await;
    assert!(verdict.quota.unwrap().reset <= Duration::from_secs(86_400));
    assert_eq!(
        check(&*limiter, "a", &Terms { quota: month(5), ..burst(100) }).await.quota.unwrap().remaining,
        4
    );
}

async fn those_who_come_together_pass_once<F: Fixture>() {
    let fixture = F::start().await;
    let terms = Terms { quota: month(40), rate: Rate { requests_per_second: 1, burst: 1000 } };
    let callers = (0..8).map(|number| {
        let limiter = if number % 2 == 0 { fixture.limiter() } else { fixture.second() };
        tokio::spawn(async move {
            let mut passed = 0;
            for _ in 0..20 {
                passed += u32::from(check(&*limiter, "a", &terms).await.refusal.is_none());
            }
            passed
        })
    });
    let passed: u32 = join_all(callers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(passed, 40);
}

#[tokio::test]
async fn gateways_see_each_other_while_they_say_that_they_are_there() {
    let fixture = super::Remote::start().await;
    assert_eq!(fixture.limiter().heartbeat().await.unwrap(), 1);
    assert_eq!(fixture.second().heartbeat().await.unwrap(), 2);
    assert_eq!(fixture.limiter().heartbeat().await.unwrap(), 2);
    let alone = async { while fixture.limiter().heartbeat().await.unwrap() != 1 {} };
    crate::soon(alone).await;
}

#[tokio::test]
async fn keys_end_by_themselves() {
    let fixture = super::Remote::start().await;
    let terms = Terms { rate: Rate { requests_per_second: 20, burst: 2 }, quota: month(9) };
    check(&*fixture.limiter(), "a", &terms).await;
    let client = ::redis::Client::open(fixture.server.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let left: i64 =
        ::redis::cmd("TTL").arg("faceline:{store}:rate:month:a").query_async(&mut raw).await.unwrap();
    assert!((1..=31 * 86_400).contains(&left), "{left}");
    let gone = async {
        let keys = async |raw: &mut _| -> Vec<String> {
            ::redis::cmd("KEYS").arg("*").query_async(raw).await.unwrap()
        };
        while keys(&mut raw).await != ["faceline:{store}:rate:month:a"] {}
    };
    crate::soon(gone).await;
}
