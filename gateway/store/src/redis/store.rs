//! The store itself: its server, its scripts, and its health.

use std::time::Duration;

use async_trait::async_trait;
use faceline_shared::redis::{RedisServer, RedisServerError};
use faceline_shared::settings::ClientTls;
use redis::cmd;

use super::keys::CHECK_KEY;
use super::scripts::Scripts;
use crate::millis::millis;
use crate::{ClientBound, ClientFull, StoreError, StoreHealth};

/// Time to live of the key that health checks write.
const CHECK_TTL: Duration = Duration::from_secs(60);

/// Sessions, outbox and idempotency records in Redis.
pub struct RedisStore {
    pub(super) server: RedisServer,
    pub(super) scripts: Scripts,
}

impl RedisStore {
    /// A store at `url` ([`faceline_shared::redis::RedisUrl`]). Its first use opens the connection.
    ///
    /// # Errors
    /// [`StoreError::Url`], [`StoreError::Tls`].
    pub fn new(url: &str, tls: &ClientTls) -> Result<Self, StoreError> {
        Ok(Self { server: RedisServer::new(url, tls)?, scripts: Scripts::new() })
    }
}

/// The error for a client that has reached a bound; its first item ends in `wait` milliseconds.
pub(super) fn client_full(bound: ClientBound, wait: u64) -> StoreError {
    StoreError::ClientFull(ClientFull { bound, first_expiry: Duration::from_millis(wait) })
}

/// The error for an answer that none of the scripts gives.
pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Broken(format!("{what} is not as it was stored"))
}

impl From<RedisServerError> for StoreError {
    fn from(error: RedisServerError) -> Self {
        match error {
            RedisServerError::Url(reason) => Self::Url(reason),
            RedisServerError::Tls(reason) => Self::Tls(reason),
            RedisServerError::Unreachable(reason) | RedisServerError::NotMaster(reason) => {
                Self::Unreachable(reason)
            }
            RedisServerError::Refused(reason) => Self::Unfit(reason),
            RedisServerError::Full => Self::Full,
            RedisServerError::Evicts(policy) => Self::Evicts(policy),
        }
    }
}

#[async_trait]
impl StoreHealth for RedisStore {
    async fn check(&self) -> Result<(), StoreError> {
        let write = cmd("SET").arg(CHECK_KEY).arg("x").arg("PX").arg(millis(CHECK_TTL)).take();
        Ok(self.server.check(&write).await?)
    }
}
