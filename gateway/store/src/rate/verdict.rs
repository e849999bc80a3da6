//! The answers of a limiter.

use std::time::Duration;

/// The decision about a request, and the rest of its key's limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Reason why the request may not pass; `None` if it may.
    pub refusal: Option<Refusal>,
    /// The rest of the rate. Its limit is the burst, which is full again after `reset`.
    pub rate: LimitStatus,
    /// The rest of the quota, if the key has one.
    pub quota: Option<LimitStatus>,
}

/// Reason why a request may not pass. A refused request counts against neither rate nor quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The limit that is used up.
    pub bound: Bound,
    /// Time until that limit allows one more request.
    pub wait: Duration,
}

/// A limit of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// The rate.
    Rate,
    /// The quota.
    Quota,
}

/// The remainder of a limit, as the headers `RateLimit-*` report it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitStatus {
    /// Requests that the limit allows at once (rate) or in the span (quota).
    pub limit: u64,
    /// Number of remaining requests.
    pub remaining: u64,
    /// Time until the limit is full again.
    pub reset: Duration,
}

impl Verdict {
    /// The status of the limit that refused the request, or else of the limit that the key will reach first.
    #[must_use]
    pub fn tightest(&self) -> LimitStatus {
        match (self.quota, self.refusal) {
            (Some(quota), Some(Refusal { bound: Bound::Quota, .. })) => quota,
            (Some(quota), None) if quota.remaining < self.rate.remaining => quota,
            _ => self.rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_of_what_it_meets_first() {
        let status = |limit, remaining| LimitStatus { limit, remaining, reset: Duration::from_secs(1) };
        let verdict = |rate, quota: Option<u64>, bound: Option<Bound>| Verdict {
            refusal: bound.map(|bound| Refusal { bound, wait: Duration::ZERO }),
            rate: status(10, rate),
            quota: quota.map(|left| status(100, left)),
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
