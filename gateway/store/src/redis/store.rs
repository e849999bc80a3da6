//! The store itself: its server, its scripts, and its health.

use async_trait::async_trait;
use faceline_shared::redis::{RedisServer, RedisServerError};

use super::scripts::Scripts;
use crate::{StoreError, StoreHealth};

/// Sessions, outbox and idempotency records in Redis.
pub struct RedisStore {
    pub(super) server: RedisServer,
    pub(super) scripts: Scripts,
}

impl RedisStore {
    /// A store at `redis://…` or `rediss://…`. Its first use opens the connection.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self { server: RedisServer::new(url)?, scripts: Scripts::new() })
    }
}

/// The error for an answer that none of the scripts gives.
pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Broken(format!("{what} is not as it was stored"))
}

impl From<RedisServerError> for StoreError {
    fn from(error: RedisServerError) -> Self {
        match error {
            RedisServerError::Url(reason) => Self::Url(reason),
            RedisServerError::Unreachable(reason) => Self::Unreachable(reason),
            RedisServerError::Full => Self::Full,
            RedisServerError::Evicts(policy) => Self::Evicts(policy),
        }
    }
}

#[async_trait]
impl StoreHealth for RedisStore {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(self.server.check().await?)
    }
}
