//! Retries: exponential back-off with jitter, with the parameters as data.
//!
//! Loops that retry without a fixed number of attempts take their delays from here. The jitter keeps processes that
//! lost the same server from retrying at the same moments.

use std::time::Duration;

use rand::RngExt as _;

/// Exponential back-off: the delay doubles with every failure up to a cap. The number of retries is unlimited; a loop
/// that has a deadline checks it itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// Upper bound of the delay after the first failure.
    pub first: Duration,
    /// Upper bound of all delays.
    pub cap: Duration,
}

impl Backoff {
    /// Delays for a request whose caller waits.
    pub const REQUEST: Self = Self { first: Duration::from_millis(50), cap: Duration::from_secs(1) };
    /// Delays for reconnecting to a server.
    pub const CONNECTION: Self = Self { first: Duration::from_millis(100), cap: Duration::from_secs(5) };
    /// Delays for background work, for which no caller waits.
    pub const BACKGROUND: Self = Self { first: Duration::from_secs(1), cap: Duration::from_mins(1) };

    /// The delay after this many failures in a row: uniformly random in `d/2..=d` with `d = min(first * 2^(failures -
    /// 1), cap)`, known as equal jitter (Brooker, "Exponential Backoff And Jitter", 2015).
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

    /// Retries with these delays and another way to sleep, for tests.
    #[must_use]
    pub fn retries_with<S: Sleep>(self, sleep: S) -> Retries<S> {
        Retries { backoff: self, failures: 0, sleep }
    }
}

/// The sleep between retries. Tests replace it.
pub trait Sleep: Send + Sync {
    /// Sleeps for `delay`.
    fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send;
}

/// Sleeps on tokio's clock, which tests can pause.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioSleep;

impl Sleep for TokioSleep {
    async fn sleep(&self, delay: Duration) {
        tokio::time::sleep(delay).await;
    }
}

/// The retries of one operation: counts its failures in a row and sleeps between attempts.
#[derive(Debug)]
pub struct Retries<S = TokioSleep> {
    backoff: Backoff,
    failures: u32,
    sleep: S,
}

impl<S: Sleep> Retries<S> {
    /// Counts a failure and sleeps until the next attempt is due.
    pub async fn wait(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.sleep.sleep(self.backoff.delay(self.failures)).await;
    }

    /// Resets the count of failures after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Records the delays and does not sleep.
    #[derive(Clone, Default)]
    struct RecordedSleep(Arc<Mutex<Vec<Duration>>>);

    impl Sleep for RecordedSleep {
        async fn sleep(&self, delay: Duration) {
            self.0.lock().unwrap().push(delay);
        }
    }

    #[tokio::test]
    async fn delays_double_up_to_the_cap_and_start_anew_after_a_success() {
        let backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(5) };
        let recorded = RecordedSleep::default();
        let mut retries = backoff.retries_with(recorded.clone());
        for _ in 0..100 {
            retries.wait().await;
        }
        retries.reset();
        retries.wait().await;
        let delays = recorded.0.lock().unwrap().clone();
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

    /// 1000 processes fail at the same moment, for replies and answers, connections, and background work. Their retries
    /// must be spread over the whole range, after the first failure as well as at the cap.
    #[test]
    fn retries_of_many_processes_are_spread_evenly() {
        for backoff in [Backoff::REQUEST, Backoff::CONNECTION, Backoff::BACKGROUND] {
            for failures in [1, 3, 100] {
                let full = backoff.first.saturating_mul(1 << (failures - 1).min(20)).min(backoff.cap);
                let mut in_tenth = [0; 10];
                for _ in 0..1000 {
                    let position = (backoff.delay(failures) - full / 2).div_duration_f64(full / 2);
                    in_tenth[((position * 10.0) as usize).min(9)] += 1;
                }
                assert!(in_tenth.iter().all(|count| (40..200).contains(count)), "{backoff:?}: {in_tenth:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_default_sleep_follows_a_paused_clock() {
        let started = tokio::time::Instant::now();
        let mut retries = Backoff::BACKGROUND.retries();
        for _ in 0..20 {
            retries.wait().await;
        }
        let waited = started.elapsed();
        assert!(waited > Duration::from_mins(7) && waited < Duration::from_mins(20), "{waited:?}");
    }
}
