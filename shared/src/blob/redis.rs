//! The blob store that gateways and workers share: Redis, which keeps the time of blobs by itself.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::cmd;

use super::{BlobError, BlobStore};
use crate::redis::{Fault, Server};

const PREFIX: &str = "faceline:blob:";

/// Larger blobs are put in pieces of this size. The client copies what it sends three times, and while it sends a piece
/// all other operations wait.
const PIECE: usize = 1 << 20;

/// Blobs in Redis. All its operations may be repeated, so a broken connection is not noticed.
pub struct RedisBlobs {
    server: Server,
}

impl RedisBlobs {
    /// A store at `redis://…` or `rediss://…`. It connects when it is used first.
    ///
    /// # Errors
    /// [`BlobError::Url`].
    pub fn new(url: &str) -> Result<Self, BlobError> {
        Ok(Self { server: Server::new(url)? })
    }

    /// Puts what follows the first piece.
    async fn put_rest(&self, key: &str, rest: &[u8], ttl: u64) -> Result<(), BlobError> {
        for (number, piece) in (1..).zip(rest.chunks(PIECE)) {
            // By its place, so that one which is sent twice is there once.
            self.server.run::<()>(cmd("SETRANGE").arg(key).arg(number * PIECE).arg(piece)).await?;
        }
        // A server that was restarted meanwhile has a blob now that does not open, and would have it for ever.
        Ok(self.server.run(cmd("PEXPIRE").arg(key).arg(ttl)).await?)
    }
}

impl From<Fault> for BlobError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Url(reason) => Self::Url(reason),
            Fault::Unreachable(reason) => Self::Unreachable(reason),
            Fault::Full => Self::Full,
            Fault::Evicts(policy) => Self::Evicts(policy),
        }
    }
}

fn full_key(key: &str) -> String {
    format!("{PREFIX}{key}")
}

#[async_trait]
impl BlobStore for RedisBlobs {
    async fn put(&self, key: &str, bytes: Bytes, ttl: Duration) -> Result<(), BlobError> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let key = full_key(key);
        let (first, rest) = bytes.split_at(bytes.len().min(PIECE));
        self.server.run::<()>(cmd("PSETEX").arg(&key).arg(ttl).arg(first)).await?;
        if rest.is_empty() {
            return Ok(());
        }
        let put = self.put_rest(&key, rest, ttl).await;
        if put.is_err() {
            // Half a blob is none; where it stays its time ends it.
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
        Ok(self.server.check().await?)
    }
}
