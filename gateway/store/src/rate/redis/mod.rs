//! The limiter that gateways share: one Lua script in Redis, which uses the server's clock.
//!
//! Redis holds one number for the rate of an API key and one for its quota. Each expires when it equals the state of a key
//! that has sent nothing. All Redis keys have the hash tag of the session store, so they are on the cluster node that the
//! settings name.

use std::time::Duration;

use async_trait::async_trait;
use redis::Script;
use time::OffsetDateTime;
use uuid::Uuid;

use super::limiter::{RateError, RateLimiter};
use super::terms::{QuotaSpan, Rate, Terms};
use super::verdict::{Bound, LimitStatus, Refusal, Verdict};
use faceline_shared::redis::{RedisServer, RedisServerError, RedisTimeouts};
use faceline_shared::settings::ClientTls;

/// Prefix of all keys.
const KEY_PREFIX: &str = "faceline:{store}:rate:";

/// Time after which a gateway without a heartbeat no longer counts. A heartbeat comes every second.
const HEARTBEAT_EXPIRY: Duration = Duration::from_secs(5);

/// Time limit of a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The script counts time in ticks of 0.1 µs.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// Rates and quotas in Redis.
pub struct RedisRates {
    server: RedisServer,
    check: Script,
    heartbeat: Script,
    /// Id of this process.
    instance: Uuid,
}

impl RedisRates {
    /// A limiter at `url` ([`faceline_shared::redis::RedisUrl`]) that must answer within `timeout`. Its first use opens the
    /// connection.
    ///
    /// # Errors
    /// [`RateError::Url`].
    pub fn new(url: &str, tls: &ClientTls, timeout: Duration) -> Result<Self, RateError> {
        let timeouts =
            RedisTimeouts { connect: CONNECT_TIMEOUT, answer: timeout, operation: CONNECT_TIMEOUT + timeout };
        Ok(Self {
            server: RedisServer::with_timeouts(url, tls, timeouts)?,
            check: Script::new(include_str!("check.lua")),
            heartbeat: Script::new(include_str!("heartbeat.lua")),
            instance: Uuid::new_v4(),
        })
    }
}

impl From<RedisServerError> for RateError {
    fn from(error: RedisServerError) -> Self {
        match error {
            RedisServerError::Url(reason) | RedisServerError::Tls(reason) => Self::Url(reason),
            RedisServerError::Unreachable(reason)
            | RedisServerError::NotMaster(reason)
            | RedisServerError::Refused(reason) => Self::Unreachable(reason),
            RedisServerError::Full => Self::Unreachable("it is full".into()),
            RedisServerError::Evicts(policy) => {
                Self::Unreachable(format!("its maxmemory-policy is `{policy}`"))
            }
        }
    }
}

/// Time between two requests, in the ticks of the script.
fn interval(rate: Rate) -> u64 {
    let per_second = u64::from(rate.requests_per_second.max(1));
    ((TICKS_PER_SECOND + per_second / 2) / per_second).max(1)
}

#[async_trait]
impl RateLimiter for RedisRates {
    async fn check(&self, key: &str, terms: &Terms) -> Result<Verdict, RateError> {
        let burst = terms.rate.burst.max(1);
        let mut script = self.check.key(format!("{KEY_PREFIX}key:{key}"));
        match terms.quota {
            Some(quota) => {
                // The span is part of the key, so a daily quota that becomes a monthly one does not continue from the day's
                // count.
                let span = match quota.span {
                    QuotaSpan::Day => "day",
                    QuotaSpan::Month => "month",
                };
                script.key(format!("{KEY_PREFIX}{span}:{key}"));
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
        let rate = LimitStatus { limit: burst.into(), remaining: left, reset };
        let quota = terms.quota.map(|quota| LimitStatus {
            limit: quota.requests,
            remaining: quota_left,
            reset: quota_ends,
        });
        Ok(Verdict { refusal, rate, quota })
    }

    async fn heartbeat(&self) -> Result<u32, RateError> {
        let mut script = self.heartbeat.key(format!("{KEY_PREFIX}gateways"));
        script.arg(self.instance.as_bytes()).arg(HEARTBEAT_EXPIRY.as_secs());
        Ok(self.server.run_script(&script).await?)
    }
}
