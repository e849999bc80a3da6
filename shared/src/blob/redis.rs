//! The blob store that gateways and workers share: Redis, which keeps the time of blobs by itself.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, cmd};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{BlobError, BlobStore};
use crate::tls;

const PREFIX: &str = "faceline:blob:";

/// Larger blobs are put in pieces of this size. The client copies what it sends three times, and while it sends a piece
/// all other operations wait.
const PIECE: usize = 1 << 20;

/// Time for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Time for an answer; then the connection is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Time for an operation, with everything that it takes.
const OPERATION_LIMIT: Duration = Duration::from_secs(5);

/// Blobs in Redis, over one multiplexed connection that is replaced once it fails or falls silent.
pub struct RedisBlobs {
    client: Client,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    /// Tells a connection from those before and after it.
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

impl RedisBlobs {
    /// A store at `redis://…` or `rediss://…`. It connects when it is used first.
    ///
    /// # Errors
    /// [`BlobError::Url`].
    pub fn new(url: &str) -> Result<Self, BlobError> {
        tls::install_provider();
        // The parser's own message could repeat the password.
        let client = Client::open(url).map_err(|_| {
            BlobError::Url("expected redis://user:password@host:port/database or rediss://…".into())
        })?;
        Ok(Self { client, present: Mutex::default() })
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BlobError> {
        let run = async {
            match self.attempt(command).await {
                // The server was restarted since the last operation, maybe; every one of ours may be repeated.
                Err(error) if error.is_io_error() && !error.is_timeout() => self.attempt(command).await,
                answer => answer,
            }
        };
        match timeout(OPERATION_LIMIT, run).await {
            Ok(answer) => answer.map_err(|error| into_blob_error(&error)),
            Err(_) => Err(BlobError::Unreachable(format!("no answer within {OPERATION_LIMIT:?}"))),
        }
    }

    async fn attempt<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let (generation, mut connection) = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        if answer.as_ref().is_err_and(RedisError::is_io_error) {
            let mut present = self.present.lock().await;
            if present.generation == generation {
                present.connection = None;
            }
        }
        answer
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut present = self.present.lock().await;
        if let Some(connection) = &present.connection {
            return Ok((present.generation, connection.clone()));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        present.generation += 1;
        present.connection = Some(connection.clone());
        Ok((present.generation, connection))
    }

    /// Puts what follows the first piece.
    async fn put_rest(&self, key: &str, rest: &[u8], ttl: u64) -> Result<(), BlobError> {
        for (number, piece) in (1..).zip(rest.chunks(PIECE)) {
            // By its place, so that one which is sent twice is there once.
            self.run::<()>(cmd("SETRANGE").arg(key).arg(number * PIECE).arg(piece)).await?;
        }
        // A server that was restarted meanwhile has a blob now that does not open, and would have it for ever.
        self.run(cmd("PEXPIRE").arg(key).arg(ttl)).await
    }

    /// What the server does when its memory is full.
    async fn memory_policy(&self) -> Result<String, BlobError> {
        let configured = cmd("CONFIG").arg("GET").arg("maxmemory-policy").take();
        if let Ok([_, policy]) = self.run::<[String; 2]>(&configured).await {
            return Ok(policy);
        }
        // Hosted servers keep CONFIG to themselves.
        let memory: String = self.run(cmd("INFO").arg("memory")).await?;
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        Ok(policy.unwrap_or("unknown").to_owned())
    }
}

fn into_blob_error(error: &RedisError) -> BlobError {
    match error.code() {
        Some("OOM") => BlobError::Full,
        _ => BlobError::Unreachable(error.to_string()),
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
        self.run::<()>(cmd("PSETEX").arg(&key).arg(ttl).arg(first)).await?;
        if rest.is_empty() {
            return Ok(());
        }
        let put = self.put_rest(&key, rest, ttl).await;
        if put.is_err() {
            // Half a blob is none; where it stays its time ends it.
            let _ = self.run::<()>(cmd("UNLINK").arg(&key)).await;
        }
        put
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        let bytes: Option<Vec<u8>> = self.run(cmd("GET").arg(full_key(key))).await?;
        Ok(bytes.map(Bytes::from))
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.run(cmd("UNLINK").arg(full_key(key))).await
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.run::<()>(&cmd("PING")).await?;
        match self.memory_policy().await? {
            policy if policy == "noeviction" => Ok(()),
            policy => Err(BlobError::Evicts(policy)),
        }
    }
}
