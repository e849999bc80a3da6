//! How much a key may send: a rate (GCRA) and, where it has one, a quota of requests in a span of the calendar.
//!
//! Two adapters, [`local`] (governor, in the process) and [`redis`] (one script, for all gateways), pass one conformance
//! suite. [`Rates`] is what a gateway asks: it chooses between them, and goes on without Redis where that is away.

mod calendar;
mod fallback;
pub mod local;
mod metrics;
mod quotas;
mod rates;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::rates::Rates;
use faceline_shared::secret_file::SecretFileError;

/// Requests that a key may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// In the long run.
    pub requests_per_second: u32,
    /// At once.
    pub burst: u32,
}

/// Requests that a key may send in a span of time by the calendar (UTC).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// How many.
    pub requests: u64,
    /// In which span.
    pub span: QuotaSpan,
}

/// A span of time by the calendar (UTC).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaSpan {
    /// From midnight to midnight.
    Day,
    /// From the first of the month on.
    Month,
}

/// All that bounds a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// How fast.
    pub rate: Rate,
    /// How much in all.
    pub quota: Option<Quota>,
}

/// What became of a request, and how its key stands now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// `None` where the request may pass.
    pub refusal: Option<Refusal>,
    /// How the key stands with its rate. The limit is the burst; it is there as a whole again after `reset`.
    pub rate: Standing,
    /// How the key stands with its quota.
    pub quota: Option<Standing>,
}

/// Why a request may not pass. It took nothing from rate or quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What is used up.
    pub bound: Bound,
    /// When there will be room for one more.
    pub wait: Duration,
}

/// What bounds a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// Its rate.
    Rate,
    /// Its quota.
    Quota,
}

/// How a key stands with a bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Requests that may be sent at once, or in the span, in all.
    pub limit: u64,
    /// Of these, how many are left.
    pub remaining: u64,
    /// When all of them are there again.
    pub reset: Duration,
}

impl Verdict {
    /// How the key stands with what it will meet first; with what refused it where it was refused.
    #[must_use]
    pub fn tightest(&self) -> Standing {
        match (self.quota, self.refusal) {
            (Some(quota), Some(Refusal { bound: Bound::Quota, .. })) => quota,
            (Some(quota), None) if quota.remaining < self.rate.remaining => quota,
            _ => self.rate,
        }
    }
}

/// Why a limiter does not say anything.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// The address cannot be understood.
    #[error("store.url is not usable: {0}")]
    Url(String),
    /// The server does not answer, not in time, or not as it should.
    #[error("the rate limiter's server does not answer: {0}")]
    Unreachable(String),
    /// The file of quotas cannot be read or written.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file of quotas is not of the form.
    #[error("{0}")]
    Form(String),
}

/// The port. A request that passes is counted by rate and quota, one that does not by neither.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Whether one more request of `key`, which is bound by `terms`, may pass.
    ///
    /// # Errors
    /// [`RateError::Unreachable`]; the request may have been counted.
    async fn check(&self, key: &str, terms: &Terms) -> Result<Verdict, RateError>;

    /// Tells those who share the limiter that this process is there, and hears how many were there in the last seconds,
    /// this one included.
    ///
    /// # Errors
    /// [`RateError::Unreachable`].
    async fn beat(&self) -> Result<u32, RateError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_of_what_it_meets_first() {
        let standing = |limit, remaining| Standing { limit, remaining, reset: Duration::from_secs(1) };
        let verdict = |rate, quota: Option<u64>, bound: Option<Bound>| Verdict {
            refusal: bound.map(|bound| Refusal { bound, wait: Duration::ZERO }),
            rate: standing(10, rate),
            quota: quota.map(|left| standing(100, left)),
        };
        for (rate, quota, bound, limit) in [
            (3, None, None, 10),
            (3, Some(50), None, 10),
            (3, Some(2), None, 100),
            (0, Some(0), Some(Bound::Rate), 10),
            (3, Some(0), Some(Bound::Quota), 100),
        ] {
            assert_eq!(verdict(rate, quota, bound).tightest().limit, limit, "{rate} {quota:?} {bound:?}");
        }
    }
}
