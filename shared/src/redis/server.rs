//! The present master, over one connection that is replaced when it fails, and with a time limit for every wait.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisResult, ScriptInvocation, cmd};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::connect::{Connector, assert_master};
use super::error::{ConnectionEffect, RedisServerError};
use super::timeouts::RedisTimeouts;
use super::url::RedisUrl;
use crate::settings::ClientTls;
use crate::tls;

/// If an attempt to connect fails within this time, as a refused one does, each request may repeat it.
const QUICK_FAILURE: Duration = Duration::from_millis(100);

/// A request to a server.
enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(&self, connection: &mut MultiplexedConnection) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }
    }
}

/// A failed attempt: its error, and whether another one may succeed at once.
struct Failure {
    error: RedisServerError,
    repeat: bool,
}

/// The master of a Redis installation, over one multiplexed connection.
///
/// The connection is replaced when it breaks, when an answer is late, and when the server says that it is not the
/// master, or not ready. After a slow failed attempt to connect, requests fail at once for as long as the attempt took,
/// so they do not all wait for a server that does not answer.
pub struct RedisServer {
    connector: Connector,
    timeouts: RedisTimeouts,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// Number of the connection, by which a failed one is recognised.
    generation: u64,
    connection: Option<MultiplexedConnection>,
    outage: Option<Outage>,
}

/// State after an attempt to connect that failed slowly.
struct Outage {
    /// No other attempt is made before this time.
    until: Instant,
    error: RedisServerError,
}

impl RedisServer {
    /// The master at `url` ([`RedisUrl`]). Its first use opens the connection.
    ///
    /// # Errors
    /// [`RedisServerError::Url`], [`RedisServerError::Tls`].
    pub fn new(url: &str, tls: &ClientTls) -> Result<Self, RedisServerError> {
        Self::with_timeouts(url, tls, RedisTimeouts::STORE)
    }

    /// The master at `url`, with the timeouts of the caller.
    ///
    /// # Errors
    /// [`RedisServerError::Url`], [`RedisServerError::Tls`].
    pub fn with_timeouts(
        url: &str,
        tls: &ClientTls,
        timeouts: RedisTimeouts,
    ) -> Result<Self, RedisServerError> {
        tls::install_provider();
        let url = RedisUrl::parse(url).map_err(|error| RedisServerError::Url(error.to_string()))?;
        Ok(Self { connector: Connector::new(url, tls, &timeouts)?, timeouts, current: Mutex::default() })
    }

    /// Runs an idempotent command. After a broken connection or a failover, the command is sent again, once.
    ///
    /// # Errors
    /// [`RedisServerError`], except for those of [`Self::new`].
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisServerError> {
        self.send(&Request::Command(command)).await
    }

    /// Runs an idempotent script as [`Self::run`] does. A server that does not know the script gets its code first.
    ///
    /// # Errors
    /// [`RedisServerError`], except for those of [`Self::new`].
    pub async fn run_script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisServerError> {
        self.send(&Request::Script(script)).await
    }

    /// Number of the connection, which is opened if there is none. If the number has changed, earlier writes may be
    /// missing: a master that replaces another one may lack its last writes.
    ///
    /// # Errors
    /// [`RedisServerError`], except for those of [`Self::new`].
    pub async fn generation(&self) -> Result<u64, RedisServerError> {
        Ok(self.connection().await?.0)
    }

    /// Checks that the server is the master, takes writes and never evicts a key. `write` is an idempotent command that takes
    /// memory, on a key that only checks use.
    ///
    /// # Errors
    /// [`RedisServerError`], except for those of [`Self::new`].
    pub async fn check(&self, write: &Cmd) -> Result<(), RedisServerError> {
        self.leave_replica().await?;
        self.run::<()>(write).await?;
        match self.memory_policy().await? {
            policy if policy == "noeviction" => Ok(()),
            policy => Err(RedisServerError::Evicts(policy)),
        }
    }

    /// Closes the connection to a master that has become a replica. No error would reveal a replica that is writable,
    /// or that is only read from.
    async fn leave_replica(&self) -> Result<(), RedisServerError> {
        let (generation, mut connection) = self.connection().await?;
        if assert_master(&mut connection, "the server").await.is_ok() {
            return Ok(());
        }
        self.give_up(generation).await;
        self.connection().await.map(drop)
    }

    async fn send<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, RedisServerError> {
        let attempts = async {
            match self.attempt(request).await {
                Err(failure) if failure.repeat => self.attempt(request).await,
                answer => answer,
            }
        };
        let limit = self.timeouts.operation;
        match timeout(limit, attempts).await {
            Ok(answer) => answer.map_err(|failure| Connector::explain(failure.error)),
            Err(_) => Err(RedisServerError::Unreachable(format!("no answer within {limit:?}"))),
        }
    }

    async fn attempt<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, Failure> {
        // A failed attempt to connect was made right now.
        let connected = self.connection().await;
        let (generation, mut connection) = connected.map_err(|error| Failure { error, repeat: false })?;
        let error = match request.send(&mut connection).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let effect = ConnectionEffect::of(&error);
        if effect != ConnectionEffect::Other {
            self.give_up(generation).await;
        }
        // A late request is not repeated: its caller has waited long enough.
        let repeat = !matches!(effect, ConnectionEffect::Other | ConnectionEffect::Late);
        Err(Failure { error: RedisServerError::of(&error), repeat })
    }

    /// Closes a connection, unless it has been replaced already.
    async fn give_up(&self, generation: u64) {
        let mut current = self.current.lock().await;
        if current.generation == generation {
            current.connection = None;
        }
    }

    /// The present connection and its number. Opens one if there is none.
    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisServerError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &current.connection {
            return Ok((current.generation, connection.clone()));
        }
        let begun = Instant::now();
        if let Some(outage) = current.outage.as_ref().filter(|outage| begun < outage.until) {
            return Err(outage.error.clone());
        }
        match self.connector.connect().await {
            Ok(connection) => {
                current.outage = None;
                current.generation += 1;
                current.connection = Some(connection.clone());
                Ok((current.generation, connection))
            }
            Err(error) => {
                let took = begun.elapsed();
                current.outage =
                    (took > QUICK_FAILURE).then(|| Outage { until: begun + 2 * took, error: error.clone() });
                Err(error)
            }
        }
    }

    /// The server's eviction policy.
    async fn memory_policy(&self) -> Result<String, RedisServerError> {
        let configured = cmd("CONFIG").arg("GET").arg("maxmemory-policy").take();
        if let Ok([_, policy]) = self.run::<[String; 2]>(&configured).await {
            return Ok(policy);
        }
        // Hosted servers often forbid CONFIG.
        let memory: String = self.run(cmd("INFO").arg("memory")).await?;
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        Ok(policy.unwrap_or("unknown").to_owned())
    }
}
