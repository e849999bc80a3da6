//! A Redis server as stores and limiter use it: one connection that is replaced once it fails, and a limit on every wait.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, cmd,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::tls;

/// How long a server is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For an answer; then the connection is given up.
    pub answer: Duration,
    /// For an operation, with everything that it takes.
    pub operation: Duration,
}

/// Of stores.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    answer: Duration::from_secs(3),
    operation: Duration::from_secs(5),
};

/// Why a server does not do what it is asked.
#[derive(Debug)]
pub enum Fault {
    /// The address cannot be understood.
    Url(String),
    /// The server does not answer, or not in time, or not as it should.
    Unreachable(String),
    /// The server has no memory left.
    Full,
    /// The server throws keys away when its memory is full; this is its policy.
    Evicts(String),
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("OOM") => Self::Full,
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// What a server is asked.
enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// A Redis server, over one multiplexed connection that is replaced once it fails or falls silent.
pub struct Server {
    client: Client,
    limits: Limits,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    /// Tells a connection from those before and after it.
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

impl Server {
    /// The server at `redis://…` or `rediss://…`. It connects when it is used first.
    pub fn new(url: &str) -> Result<Self, Fault> {
        Self::with_limits(url, LIMITS)
    }

    /// As [`Self::new`], with other limits.
    pub fn with_limits(url: &str, limits: Limits) -> Result<Self, Fault> {
        tls::install_provider();
        // The parser's own message could repeat the password.
        let client = Client::open(url).map_err(|_| {
            Fault::Url("expected redis://user:password@host:port/database or rediss://…".into())
        })?;
        Ok(Self { client, limits, present: Mutex::default() })
    }

    /// Runs a command that may be run twice: where the connection broke it is sent again, once.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        self.ask(&Request::Command(command)).await
    }

    /// Runs a script that may be run twice, as [`Self::run`] does. A server that does not know it is told it.
    pub async fn run_script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Fault> {
        self.ask(&Request::Script(script)).await
    }

    /// Whether the server answers and is set up so that it never throws a key away on its own.
    pub async fn check(&self) -> Result<(), Fault> {
        self.run::<()>(&cmd("PING")).await?;
        match self.memory_policy().await? {
            policy if policy == "noeviction" => Ok(()),
            policy => Err(Fault::Evicts(policy)),
        }
    }

    async fn ask<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, Fault> {
        let ask = async {
            match self.attempt(request).await {
                // The server was restarted since the last operation, maybe.
                Err(error) if error.is_io_error() && !error.is_timeout() => self.attempt(request).await,
                answer => answer,
            }
        };
        let limit = self.limits.operation;
        match timeout(limit, ask).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::Unreachable(format!("no answer within {limit:?}"))),
        }
    }

    async fn attempt<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        let (generation, mut connection) = self.connection().await?;
        let answer = match request {
            Request::Command(command) => command.query_async(&mut connection).await,
            Request::Script(script) => script.invoke_async(&mut connection).await,
        };
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
            .set_connection_timeout(Some(self.limits.connect))
            .set_response_timeout(Some(self.limits.answer));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        present.generation += 1;
        present.connection = Some(connection.clone());
        Ok((present.generation, connection))
    }

    /// What the server does when its memory is full.
    async fn memory_policy(&self) -> Result<String, Fault> {
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
