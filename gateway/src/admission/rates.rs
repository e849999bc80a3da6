//! Each key's rate.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::accounts::Rate;

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A key's limiter and the rate that it was made for.
type Known<C> = (Rate, Limiter<C>);

/// One limiter a key; there are as many as keys in the accounts.
pub(super) struct Rates<C: Clock = DefaultClock> {
    default: Rate,
    clock: C,
    keys: Mutex<HashMap<Arc<str>, Known<C>>>,
}

impl Rates {
    /// Keys without a rate of their own have `default`.
    pub(super) fn new(default: Rate) -> Self {
        Self::with_clock(default, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(default: Rate, clock: C) -> Self {
        Self { default, clock, keys: Mutex::default() }
    }

    /// Counts a request of the key `id`, or says how long it has to wait.
    pub(super) fn check(&self, id: &Arc<str>, own: Option<Rate>) -> Result<(), Duration> {
        let rate = own.unwrap_or(self.default);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, limiter) = keys.entry(Arc::clone(id)).or_insert_with(|| (rate, self.limiter(rate)));
        if *known != rate {
            // The accounts were changed.
            (*known, *limiter) = (rate, self.limiter(rate));
        }
        limiter.check().map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    fn limiter(&self, rate: Rate) -> Limiter<C> {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::per_second(at_least_one(rate.requests_per_second)).allow_burst(at_least_one(rate.burst));
        RateLimiter::direct_with_clock(quota, self.clock.clone())
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const DEFAULT: Rate = Rate { requests_per_second: 2, burst: 3 };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::with_clock(DEFAULT, clock.clone());
        let key = Arc::from("a");
        for _ in 0..3 {
            assert_eq!(rates.check(&key, None), Ok(()));
        }
        assert_eq!(rates.check(&key, None), Err(Duration::from_millis(500)));
        assert_eq!(rates.check(&Arc::from("b"), None), Ok(()), "another key is not concerned");
        clock.advance(Duration::from_millis(500));
        assert_eq!(rates.check(&key, None), Ok(()));
        assert!(rates.check(&key, None).is_err());
    }

    #[test]
    fn a_key_may_have_a_rate_of_its_own_and_get_another_one() {
        let rates = Rates::with_clock(DEFAULT, FakeRelativeClock::default());
        let key = Arc::from("a");
        let one = Rate { requests_per_second: 1, burst: 1 };
        assert_eq!(rates.check(&key, Some(one)), Ok(()));
        assert_eq!(rates.check(&key, Some(one)), Err(Duration::from_secs(1)));
        assert_eq!(rates.check(&key, None), Ok(()));
    }
}
