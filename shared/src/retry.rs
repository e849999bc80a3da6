//! Retrying: exponential back-off with jitter, as data.
//!
//! Every loop that tries again after a failure takes its delays from here, so processes that lost the same server do not
//! come back in step.

use std::time::Duration;

use rand::RngExt as _;

/// Exponential back-off: the delay doubles with every failure up to a cap, and never ends the retries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// Upper bound of the delay after the first failure.
    pub first: Duration,
    /// Upper bound of all delays.
    pub cap: Duration,
}

impl Backoff {
    /// For the work of one request, whose caller waits.
    pub const REQUEST: Self = Self { first: Duration::from_millis(50), cap: Duration::from_secs(1) };
    /// For a connection to a server that is away.
    pub const CONNECTION: Self = Self { first: Duration::from_millis(100), cap: Duration::from_secs(5) };
    /// For work in the background that nobody waits for.
    pub const BACKGROUND: Self = Self { first: Duration::from_secs(1), cap: Duration::from_mins(1) };

    /// The delay after so many failures in a row: at random between half and all of `first * 2^(failures - 1)`, at most
    /// the cap ("equal jitter").
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Retries with these delays.
    #[must_use]
    pub fn retries(self) -> Retries {
        self.retries_with(TokioSleep)
    }

    /// Retries with these delays and a sleep of the caller's.
    #[must_use]
    pub fn retries_with<S: Sleep>(self, sleep: S) -> Retries<S> {
        Retries { backoff: self, failures: 0, sleep }
    }
}

/// How retries wait; tests replace it.
pub trait Sleep: Send + Sync {
    /// Waits for `delay`.
    fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send;
}

/// Waits on tokio's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioSleep;

impl Sleep for TokioSleep {
    async fn sleep(&self, delay: Duration) {
        tokio::time::sleep(delay).await;
    }
}

/// Failures in a row of one operation.
#[derive(Debug)]
pub struct Retries<S = TokioSleep> {
    backoff: Backoff,
    failures: u32,
    sleep: S,
}

impl<S: Sleep> Retries<S> {
    /// Counts a failure and waits before the next attempt.
    pub async fn wait(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.sleep.sleep(self.backoff.delay(self.failures)).await;
    }

    /// Forgets the failures, because the operation succeeded.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Notes the delays and does not wait.
    #[derive(Clone, Default)]
    struct NotedSleep(Arc<Mutex<Vec<Duration>>>);

    impl Sleep for NotedSleep {
        async fn sleep(&self, delay: Duration) {
            self.0.lock().unwrap().push(delay);
        }
    }

    #[tokio::test]
    async fn delays_double_up_to_the_cap_and_start_anew_after_a_success() {
        let backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(5) };
        let noted = NotedSleep::default();
        let mut retries = backoff.retries_with(noted.clone());
        for _ in 0..100 {
            retries.wait().await;
        }
        retries.reset();
        retries.wait().await;
        let delays = noted.0.lock().unwrap().clone();
        let exponents = (0..100).chain([0]);
        for (delay, exponent) in delays.iter().zip(exponents) {
            let full = backoff.first.saturating_mul(1 << exponent.min(20)).min(backoff.cap);
            assert!(*delay >= full / 2 && *delay <= full, "2^{exponent}: {delay:?} of {full:?}");
        }
        assert_eq!(delays.len(), 101);
    }

    #[test]
    fn two_processes_do_not_wait_equally_long() {
        let delays: BTreeSet<_> = (0..20).map(|_| Backoff::REQUEST.delay(3)).collect();
        assert!(delays.len() > 10);
    }
}
