//! A Redis server as the stores and the rate limiter use it: one connection that is replaced when it fails, and a time limit
//! for every wait.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, cmd,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::tls;

/// How long to wait for a server.
#[derive(Clone, Copy, Debug)]
pub struct RedisTimeouts {
    /// For a new connection.
    pub connect: Duration,
    /// For an answer. After that the connection is given up.
    pub answer: Duration,
    /// For a whole operation: connection, answer, and repetition.
    pub operation: Duration,
}

impl RedisTimeouts {
    /// The timeouts of stores.
    const STORE: Self = Self {
        connect: Duration::from_secs(1),
        answer: Duration::from_secs(3),
        operation: Duration::from_secs(5),
    };
}

/// Why an operation of a server failed.
#[derive(Debug)]
pub enum RedisServerError {
    /// The address cannot be understood.
    Url(String),
    /// The server does not answer, not in time, or with something unexpected.
    Unreachable(String),
    /// The server has no free memory.
    Full,
    /// The server is configured to evict keys when its memory is full; this is its policy.
    Evicts(String),
}

impl From<RedisError> for RedisServerError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("OOM") => Self::Full,
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// A request to a server.
enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// A Redis server, over one multiplexed connection that is replaced when it fails or an answer is late.
pub struct RedisServer {
    client: Client,
    timeouts: RedisTimeouts,
    current: Mutex<CurrentConnection>,
}

#[derive(Default)]
struct CurrentConnection {
    /// Number of the connection, by which a failed one is recognised.
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

impl RedisServer {
    /// The server at `redis://…` or `rediss://…`. Its first use opens the connection.
    ///
    /// # Errors
    /// [`RedisServerError::Url`].
    pub fn new(url: &str) -> Result<Self, RedisServerError> {
        Self::with_timeouts(url, RedisTimeouts::STORE)
    }

    /// The server at `url`, with the timeouts of the caller.
    ///
    /// # Errors
    /// [`RedisServerError::Url`].
    pub fn with_timeouts(url: &str, timeouts: RedisTimeouts) -> Result<Self, RedisServerError> {
        tls::install_provider();
        // The parser's own message could contain the password.
        let client = Client::open(url).map_err(|_| {
            RedisServerError::Url("expected redis://user:password@host:port/database or rediss://…".into())
        })?;
        Ok(Self { client, timeouts, current: Mutex::default() })
    }

    /// Runs an idempotent command. If the connection breaks, the command is sent again, once.
    ///
    /// # Errors
    /// [`RedisServerError::Unreachable`], [`RedisServerError::Full`].
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisServerError> {
        self.send(&Request::Command(command)).await
    }

    /// Runs an idempotent script as [`Self::run`] does. A server that does not know the script gets its code first.
    ///
    /// # Errors
    /// [`RedisServerError::Unreachable`], [`RedisServerError::Full`].
    pub async fn run_script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisServerError> {
        self.send(&Request::Script(script)).await
    }

    /// Checks that the server answers and never evicts a key.
    ///
    /// # Errors
    /// [`RedisServerError::Unreachable`]; [`RedisServerError::Evicts`] if the eviction policy is not `noeviction`.
    pub async fn check(&self) -> Result<(), RedisServerError> {
        self.run::<()>(&cmd("PING")).await?;
        match self.memory_policy().await? {
            policy if policy == "noeviction" => Ok(()),
            policy => Err(RedisServerError::Evicts(policy)),
        }
    }

    async fn send<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, RedisServerError> {
        let attempts = async {
            match self.attempt(request).await {
                // The server may have been restarted since the last operation.
                Err(error) if error.is_io_error() && !error.is_timeout() => self.attempt(request).await,
                answer => answer,
            }
        };
        let limit = self.timeouts.operation;
        match timeout(limit, attempts).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(RedisServerError::Unreachable(format!("no answer within {limit:?}"))),
        }
    }

    async fn attempt<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        let (generation, mut connection) = self.connection().await?;
        let answer = match request {
            Request::Command(command) => command.query_async(&mut connection).await,
            Request::Script(script) => script.invoke_async(&mut connection).await,
        };
        if answer.as_ref().is_err_and(RedisError::is_io_error) {
            let mut current = self.current.lock().await;
            if current.generation == generation {
                current.connection = None;
            }
        }
        answer
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &current.connection {
            return Ok((current.generation, connection.clone()));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeouts.connect))
            .set_response_timeout(Some(self.timeouts.answer));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        current.generation += 1;
        current.connection = Some(connection.clone());
        Ok((current.generation, connection))
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
