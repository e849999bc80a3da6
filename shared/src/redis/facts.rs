//! Facts that a Redis server reports about itself, for operators.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use redis::cmd;

use super::error::RedisServerError;
use super::server::RedisServer;

/// Facts that the present master reports about itself.
#[derive(Clone, Debug)]
pub struct RedisFacts {
    /// Its version, as in `7.0.15`.
    pub version: String,
    /// Whether it writes an append-only file (`appendonly yes`).
    pub append_only: bool,
    /// Whether it writes snapshots by itself (`save`); `None` if this user may not read that.
    pub snapshots: Option<bool>,
    /// Replicas that are connected.
    pub replicas: u64,
    /// Number of replicas that it requires for writes (`min-replicas-to-write`); `None` if this user may not read that.
    pub replicas_to_write: Option<u64>,
    /// Bytes in use.
    pub used_memory: u64,
    /// Limit of its data in bytes (`maxmemory`); 0 for no limit.
    pub max_memory: u64,
    /// Time of its clock.
    pub time: SystemTime,
    /// This machine's clock when the server was asked for its own.
    pub asked: SystemTime,
    /// Duration of the query for the time.
    pub round_trip: Duration,
}

impl RedisServer {
    /// Asks the present master for its configuration, its state and its clock.
    ///
    /// # Errors
    /// [`RedisServerError`], except for those of [`Self::new`].
    pub async fn facts(&self) -> Result<RedisFacts, RedisServerError> {
        let said: String = self.run(&cmd("INFO")).await?;
        let info: HashMap<&str, &str> =
            said.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let number = |name: &str| info.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let (asked, started) = (SystemTime::now(), Instant::now());
        let (seconds, micros): (u64, u64) = self.run(&cmd("TIME")).await?;
        let round_trip = started.elapsed();
        let save = self.configured("save").await;
        Ok(RedisFacts {
            version: info.get("redis_version").copied().unwrap_or("unknown").to_owned(),
            append_only: number("aof_enabled") == 1,
            snapshots: save.map(|save| !save.trim().is_empty()),
            replicas: number("connected_slaves"),
            replicas_to_write: self
                .configured("min-replicas-to-write")
                .await
                .and_then(|count| count.parse().ok()),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros),
            asked,
            round_trip,
        })
    }

    /// A parameter of the server's configuration; `None` if this user may not read it, as with some hosted servers.
    async fn configured(&self, name: &str) -> Option<String> {
        let answer: Vec<String> = self.run(cmd("CONFIG").arg("GET").arg(name)).await.ok()?;
        answer.into_iter().nth(1)
    }
}
