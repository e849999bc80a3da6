//! Rate limits and quotas of API keys: a rate (GCRA), and optionally a quota of requests in a calendar span.
//!
//! Two adapters pass one conformance suite: [`local`] (governor, in the process) and [`redis`] (one script, for all
//! gateways). A gateway uses [`Rates`], which chooses between them, and continues without Redis while Redis is unreachable.

mod calendar;
mod fallback;
mod limiter;
pub mod local;
mod metrics;
mod quotas;
mod rates;
pub mod redis;
mod terms;
mod verdict;

pub use self::limiter::{RateError, RateLimiter};
pub use self::rates::Rates;
pub use self::terms::{Quota, QuotaSpan, Rate, Terms};
pub use self::verdict::{Bound, LimitStatus, Refusal, Verdict};
