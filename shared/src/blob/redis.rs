//! The blob store that gateways and workers share: Redis, which expires blobs by itself.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::cmd;

use super::store::{BlobError, BlobStore};
use crate::redis::{RedisServer, RedisServerError};
use crate::settings::ClientTls;

/// Prefix of all keys.
const KEY_PREFIX: &str = "faceline:blob:";

/// Size of a piece in bytes. Larger blobs are sent in several pieces, because the client copies the bytes of a command
/// three times, and all other operations wait while it sends one.
const PIECE_BYTES: usize = 1 << 20;

/// Maximum number of attempts to send a blob. A blob is sent again if its server changed during the transfer.
const MAX_ATTEMPTS: usize = 3;

/// The key that checks write.
const CHECK_KEY: &str = "faceline:blobs-check";
/// Time to live of that key, in milliseconds.
const CHECK_TTL_MILLIS: u64 = 60_000;

/// Blobs in Redis. All operations are idempotent, so they are repeated after a broken connection.
pub struct RedisBlobs {
    server: RedisServer,
}

impl RedisBlobs {
    /// A store at `url` ([`crate::redis::RedisUrl`]). Its first use opens the connection.
    ///
    /// # Errors
    /// [`BlobError::Url`] if `url` cannot be parsed, [`BlobError::Tls`] if the files for TLS cannot be used.
    pub fn new(url: &str, tls: &ClientTls) -> Result<Self, BlobError> {
        Ok(Self { server: RedisServer::new(url, tls)? })
    }

    /// Sends a whole blob: its first piece with the time to live, and then the others. Returns false if the server
    /// changed in between, because a server that replaces another one may lack the first pieces.
    async fn put_pieces(&self, key: &str, bytes: &[u8], ttl: u64) -> Result<bool, BlobError> {
        let (first, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES));
        let before = self.server.generation().await?;
        self.server.run::<()>(cmd("PSETEX").arg(key).arg(ttl).arg(first)).await?;
        if rest.is_empty() {
            return Ok(true);
        }
        self.put_rest(key, rest, ttl).await?;
        Ok(self.server.generation().await? == before)
    }

    /// Sends the pieces after the first one.
    async fn put_rest(&self, key: &str, rest: &[u8], ttl: u64) -> Result<(), BlobError> {
        for (number, piece) in (1..).zip(rest.chunks(PIECE_BYTES)) {
            // Each piece is written at its own offset, so a repeated one changes nothing.
            self.server.run::<()>(cmd("SETRANGE").arg(key).arg(number * PIECE_BYTES).arg(piece)).await?;
        }
        // A server that was restarted in between now has an incomplete blob without a TTL, which would stay for ever.
        Ok(self.server.run(cmd("PEXPIRE").arg(key).arg(ttl)).await?)
    }
}

impl From<RedisServerError> for BlobError {
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

fn full_key(key: &str) -> String {
    format!("{KEY_PREFIX}{key}")
}

#[async_trait]
impl BlobStore for RedisBlobs {
    async fn put(&self, key: &str, bytes: Bytes, ttl: Duration) -> Result<(), BlobError> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let key = full_key(key);
        let mut put = Ok(false);
        for _ in 0..MAX_ATTEMPTS {
            put = self.put_pieces(&key, &bytes, ttl).await;
            if !matches!(put, Ok(false)) {
                break;
            }
        }
        let put = match put {
            Ok(true) => Ok(()),
            Ok(false) => Err(BlobError::Unreachable("its server changed again and again".into())),
            Err(error) => Err(error),
        };
        if put.is_err() && bytes.len() > PIECE_BYTES {
            // An incomplete blob is useless. If it cannot be deleted, it expires.
            let _ = self.server.run::<()>(cmd("UNLINK").arg(&key)).await;
        }
        put
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        let bytes: Option<Vec<u8>> = self.server.run(cmd("GET").arg(full_key(key))).await?;
        Ok(bytes.map(Bytes::from))
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        Ok(self.server.run(cmd("UNLINK").arg(full_key(key))).await?)
    }

    async fn check(&self) -> Result<(), BlobError> {
        // The command is that of `put`, so a user who may store blobs may also run the check.
        let write = cmd("PSETEX").arg(CHECK_KEY).arg(CHECK_TTL_MILLIS).arg("x").take();
        Ok(self.server.check(&write).await?)
    }
}
