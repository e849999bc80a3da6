//! The limiter of a single process: governor for rates, counters for quotas.
//!
//! Quota counts survive a restart: they are in `quotas.toml` in the data folder, which is written every second if a count
//! changed, and at shutdown. A process that is killed loses the counts of its last second. Rates start anew with the process.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock, Reference as _};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use time::OffsetDateTime;

use super::limiter::{RateError, RateLimiter};
use super::quotas::{Counted, Quotas};
use super::terms::{Quota, Rate, Terms};
use super::verdict::{Bound, LimitStatus, Refusal, Verdict};
use faceline_shared::secret_file;

/// Number of limiters from which on unused ones are removed.
const PRUNING_THRESHOLD: usize = 4096;

type Governor<C> = governor::RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

/// Rates and quotas that this process counts alone.
pub struct LocalRates<C: Clock = DefaultClock> {
    clock: C,
    state: Mutex<LocalState<C>>,
    /// The file of quota counts.
    file: Option<PathBuf>,
}

struct LocalState<C: Clock> {
    /// One limiter for each key, and for each device that calls.
    keys: HashMap<String, KeyLimiter<C>>,
    /// Number of limiters at which those that have returned to their initial state are removed.
    pruning_threshold: usize,
    quotas: Quotas,
}

/// A key's limiter, the share that it enforces, and the time of its last use.
struct KeyLimiter<C: Clock> {
    share: Share,
    used: C::Instant,
    governor: Governor<C>,
}

impl<C: Clock> LocalState<C> {
    /// Removes limiters that have returned to their initial state, once there are many: each calling device has one.
    fn forget_unused(&mut self, now: C::Instant) {
        if self.keys.len() < self.pruning_threshold {
            return;
        }
        self.keys.retain(|_, known| Duration::from(now.duration_since(known.used)) < known.share.recovery());
        self.pruning_threshold = PRUNING_THRESHOLD.max(self.keys.len() * 2);
    }
}

/// An equal share of a rate that several processes divide between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Share {
    rate: Rate,
    among: u32,
}

impl Share {
    /// Time between two requests.
    fn interval(self) -> Duration {
        let seconds = Duration::from_secs(self.among.max(1).into());
        (seconds / self.rate.requests_per_second.max(1)).max(Duration::from_nanos(1))
    }

    /// Time after which an unused limiter is in its initial state again.
    fn recovery(self) -> Duration {
        self.interval().saturating_mul(self.burst().get())
    }

    fn burst(self) -> NonZeroU32 {
        NonZeroU32::new(self.rate.burst / self.among.max(1)).unwrap_or(NonZeroU32::MIN)
    }
}

impl LocalRates {
    /// A limiter whose counts end with the process.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(DefaultClock::default())
    }

    /// A limiter whose quota counts are saved in `data_dir`.
    ///
    /// # Errors
    /// [`RateError::File`] and [`RateError::Form`] if there is a file of counts that cannot be read.
    pub fn open(data_dir: &Path) -> Result<Self, RateError> {
        let file = data_dir.join("quotas.toml");
        let keys = match secret_file::read(&file) {
            Ok(text) => toml::from_str::<HashMap<String, Counted>>(&text)
                .map_err(|error| RateError::Form(format!("{}: {}", file.display(), error.message())))?,
            Err(error) if error.is_missing() => HashMap::new(),
            Err(error) => return Err(error.into()),
        };
        let limiter = Self::new();
        limiter.state().quotas = Quotas::new(keys);
        Ok(Self { file: Some(file), ..limiter })
    }
}

impl Default for LocalRates {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock + Clone> LocalRates<C> {
    fn with_clock(clock: C) -> Self {
        let state = LocalState {
            keys: HashMap::new(),
            pruning_threshold: PRUNING_THRESHOLD,
            quotas: Quotas::default(),
        };
        Self { clock, state: Mutex::new(state), file: None }
    }

    /// Decides as [`RateLimiter::check`] does, for one of `among` processes that divide the key's limits between them.
    pub(super) fn check_share(&self, key: &str, terms: &Terms, among: u32) -> Verdict {
        let at = OffsetDateTime::now_utc();
        let share = Share { rate: terms.rate, among };
        let mut state = self.state();
        let now = self.clock.now();
        state.forget_unused(now);
        let LocalState { keys, quotas, .. } = &mut *state;
        let known = keys.entry(key.to_owned()).or_insert_with(|| self.limiter(share));
        known.used = now;
        if known.share != share {
            // The accounts or the number of processes have changed.
            *known = self.limiter(share);
        }
        let quota = terms.quota.map(|quota| (quota, quotas.status(key, quota, among, at)));
        if let Some((_, status)) = quota
            && status.remaining == 0
        {
            let refusal = Refusal { bound: Bound::Quota, wait: status.reset };
            // The remaining rate is reported as 0, because asking governor for it would count a request.
            let limit = share.burst().get().into();
            let rate = LimitStatus { limit, remaining: 0, reset: share.interval() };
            return Verdict { refusal: Some(refusal), rate, quota: Some(status) };
        }
        let (wait, rate) = self.count(known);
        if let Some(wait) = wait {
            let refusal = Refusal { bound: Bound::Rate, wait };
            return Verdict { refusal: Some(refusal), rate, quota: quota.map(|(_, status)| status) };
        }
        let quota = quota.map(|(quota, status)| {
            quotas.count(key, quota, at);
            LimitStatus { remaining: status.remaining - 1, ..status }
        });
        Verdict { refusal: None, rate, quota }
    }

    /// Counts a request with its key's governor. Returns the time that it must wait (`None`: it passes), and the
    /// remaining rate.
    fn count(&self, known: &KeyLimiter<C>) -> (Option<Duration>, LimitStatus) {
        let (interval, burst) = (known.share.interval(), known.share.burst().get());
        let status = |remaining, reset| LimitStatus { limit: burst.into(), remaining, reset };
        match known.governor.check() {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                (None, status(remaining.into(), interval * (burst - remaining.min(burst))))
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                (Some(wait), status(0, wait + interval * (burst - 1)))
            }
        }
    }

    /// Stores the number of requests of a key that have passed in all processes.
    pub(super) fn learn(&self, key: &str, quota: Quota, used: u64) {
        self.state().quotas.learn(key, quota, used, OffsetDateTime::now_utc());
    }

    /// Saves the quota counts if they changed. Blocks on the disk.
    ///
    /// # Errors
    /// [`RateError::File`] and [`RateError::Form`]; the next call tries again.
    pub fn save(&self) -> Result<(), RateError> {
        let Some(file) = &self.file else { return Ok(()) };
        let Some(keys) = self.state().quotas.take_changed() else { return Ok(()) };
        let saved = secret_file::update(file, |_| {
            toml::to_string(&keys).map(Some).map_err(|error| RateError::Form(error.to_string()))
        });
        if saved.is_err() {
            self.state().quotas.mark_changed();
        }
        saved
    }

    fn limiter(&self, share: Share) -> KeyLimiter<C> {
        // `None` only for an interval of zero, which `Share::interval` never returns.
        let quota = governor::Quota::with_period(share.interval())
            .unwrap_or(governor::Quota::per_second(NonZeroU32::MIN))
            .allow_burst(share.burst());
        let governor = governor::RateLimiter::direct_with_clock(quota, self.clock.clone());
        KeyLimiter { share, used: self.clock.now(), governor: governor.with_middleware() }
    }

    fn state(&self) -> MutexGuard<'_, LocalState<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RateLimiter for LocalRates {
    async fn check(&self, key: &str, terms: &Terms) -> Result<Verdict, RateError> {
        Ok(self.check_share(key, terms, 1))
    }

    async fn heartbeat(&self) -> Result<u32, RateError> {
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::rate::terms::QuotaSpan;

    const TERMS: Terms = Terms { rate: Rate { requests_per_second: 2, burst: 3 }, quota: None };

    fn wait(verdict: Verdict) -> Option<Duration> {
        verdict.refusal.map(|refusal| refusal.wait)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let clock = FakeRelativeClock::default();
        let rates = LocalRates::with_clock(clock.clone());
        for remaining in [2, 1, 0] {
            let verdict = rates.check_share("a", &TERMS, 1);
            let reset = Duration::from_millis(500) * (3 - remaining as u32);
            assert_eq!((wait(verdict), verdict.rate), (None, LimitStatus { limit: 3, remaining, reset }));
        }
        let refused = rates.check_share("a", &TERMS, 1);
        assert_eq!(wait(refused), Some(Duration::from_millis(500)));
        assert_eq!(refused.rate, LimitStatus { limit: 3, remaining: 0, reset: Duration::from_millis(1500) });
        assert_eq!(wait(rates.check_share("b", &TERMS, 1)), None, "another key is not concerned");
        clock.advance(Duration::from_millis(500));
        assert_eq!(wait(rates.check_share("a", &TERMS, 1)), None);
        assert!(wait(rates.check_share("a", &TERMS, 1)).is_some());
    }

    #[test]
    fn what_is_unused_for_long_is_forgotten_and_what_is_used_up_is_not() {
        let clock = FakeRelativeClock::default();
        let rates = LocalRates::with_clock(clock.clone());
        let mut passed = 0;
        for device in 0..3 * PRUNING_THRESHOLD {
            rates.check_share(&format!("device {device}"), &TERMS, 1);
            passed += usize::from(rates.check_share("busy", &TERMS, 1).refusal.is_none());
            clock.advance(Duration::from_millis(1));
        }
        // The burst, and two requests per second.
        assert_eq!(passed, 3 + 3 * PRUNING_THRESHOLD / 500);
        assert!(rates.state().keys.len() <= PRUNING_THRESHOLD, "{}", rates.state().keys.len());
    }

    #[test]
    fn a_share_is_a_part_of_rate_burst_and_quota() {
        let clock = FakeRelativeClock::default();
        let rates = LocalRates::with_clock(clock.clone());
        let quota = Quota { requests: 11, span: QuotaSpan::Month };
        let terms = Terms { rate: Rate { requests_per_second: 4, burst: 9 }, quota: Some(quota) };
        let passed = || (0..20).filter(|_| wait(rates.check_share("a", &terms, 3)).is_none()).count();
        assert_eq!(passed(), 3, "a third of the burst, and of the quota");
        rates.learn("a", quota, 2);
        assert_eq!(wait(rates.check_share("a", &terms, 3)), Some(Duration::from_millis(750)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(passed(), 3, "a third of the nine that are left");
        clock.advance(Duration::from_secs(60));
        let refusal = rates.check_share("a", &terms, 3).refusal.unwrap();
        assert_eq!(refusal.bound, Bound::Quota);
    }

    #[test]
    fn counts_that_cannot_be_kept_are_kept_later() {
        let folder = std::env::temp_dir().join(format!("faceline-quotas-{}", uuid::Uuid::new_v4()));
        let data_dir = folder.join("data");
        let rates = LocalRates::open(&data_dir).unwrap();
        let quota = Quota { requests: 9, span: QuotaSpan::Month };
        let check = |rates: &LocalRates| rates.check_share("a", &Terms { quota: Some(quota), ..TERMS }, 1);
        let remaining = |verdict: Verdict| verdict.quota.unwrap().remaining;
        assert_eq!(remaining(check(&rates)), 8);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&data_dir, "in the way").unwrap();
        assert!(matches!(rates.save(), Err(RateError::File(_))));
        std::fs::remove_file(&data_dir).unwrap();
        rates.save().unwrap();
        assert_eq!(remaining(check(&LocalRates::open(&data_dir).unwrap())), 7);

        std::fs::write(data_dir.join("quotas.toml"), "a = 7").unwrap();
        let error = LocalRates::open(&data_dir).err().unwrap().to_string();
        assert!(error.contains("quotas.toml"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
