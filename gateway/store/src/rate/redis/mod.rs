//! The limiter that gateways share: one script in Redis, by the server's clock.
//!
//! A key's state is one number for its rate and one for its quota, which end by themselves when they say no more than that
//! nothing was sent. All keys bear the hash tag of the session store, so that they are on the node that its address names.

use std::time::Duration;

use async_trait::async_trait;
use redis::Script;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Bound, QuotaSpan, Rate, RateError, RateLimiter, Refusal, Standing, Terms, Verdict};
use faceline_shared::redis::{Fault, Limits, Server};

/// Before the names of all keys.
const PREFIX: &str = "faceline:{store}:rate:";

/// A gateway that was not seen for so long is gone. Each says every second that it is there.
const GONE: Duration = Duration::from_secs(5);

/// Time for a new connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// The script counts time in tenths of a microsecond.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// Rates and quotas in Redis.
pub struct RedisRates {
    server: Server,
    check: Script,
    beat: Script,
    /// Tells this process from others.
    instance: Uuid,
}

impl RedisRates {
    /// A limiter at `redis://…` or `rediss://…`, which has to answer within `patience`. It connects when it is used first.
    ///
    /// # Errors
    /// [`RateError::Url`].
    pub fn new(url: &str, patience: Duration) -> Result<Self, RateError> {
        let limits = Limits { connect: CONNECT_LIMIT, answer: patience, operation: CONNECT_LIMIT + patience };
        Ok(Self {
            server: Server::with_limits(url, limits)?,
            check: Script::new(include_str!("check.lua")),
            beat: Script::new(include_str!("beat.lua")),
            instance: Uuid::new_v4(),
        })
    }
}

impl From<Fault> for RateError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Url(reason) => Self::Url(reason),
            Fault::Unreachable(reason) => Self::Unreachable(reason),
            Fault::Full => Self::Unreachable("it is full".into()),
            Fault::Evicts(policy) => Self::Unreachable(format!("its maxmemory-policy is `{policy}`")),
        }
    }
}

/// Time between two requests, as the script counts it.
fn interval(rate: Rate) -> u64 {
    let per_second = u64::from(rate.requests_per_second.max(1));
    ((TICKS_PER_SECOND + per_second / 2) / per_second).max(1)
}

#[async_trait]
impl RateLimiter for RedisRates {
    async fn check(&self, key: &str, terms: &Terms) -> Result<Verdict, RateError> {
        let burst = terms.rate.burst.max(1);
        let mut script = self.check.key(format!("{PREFIX}key:{key}"));
        match terms.quota {
            Some(quota) => {
                // By its span, so that a quota that becomes one of the month does not go on from the day's count.
                let span = match quota.span {
                    QuotaSpan::Day => "day",
                    QuotaSpan::Month => "month",
                };
                script.key(format!("{PREFIX}{span}:{key}"));
                script.arg(interval(terms.rate)).arg(burst).arg(quota.requests);
                script.arg(&quota.span.ends_around(OffsetDateTime::now_utc()));
            }
            None => drop(script.arg(interval(terms.rate)).arg(burst).arg(0)),
        }
        let answer: (u8, u64, u64, u64, u64, u64) = self.server.run_script(&script).await?;
        let (verdict, wait, left, until_full, quota_left, quota_ends) = answer;
        let quota_ends = Duration::from_secs(quota_ends);
        let refusal = match verdict {
            0 => None,
            1 => Some(Refusal { bound: Bound::Rate, wait: Duration::from_micros(wait) }),
            _ => Some(Refusal { bound: Bound::Quota, wait: quota_ends }),
        };
        let reset = Duration::from_micros(until_full);
        let rate = Standing { limit: burst.into(), remaining: left, reset };
        let quota = terms.quota.map(|quota| Standing {
            limit: quota.requests,
            remaining: quota_left,
            reset: quota_ends,
        });
        Ok(Verdict { refusal, rate, quota })
    }

    async fn beat(&self) -> Result<u32, RateError> {
        let mut script = self.beat.key(format!("{PREFIX}gateways"));
        script.arg(self.instance.as_bytes()).arg(GONE.as_secs());
        Ok(self.server.run_script(&script).await?)
    }
}
