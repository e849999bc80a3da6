//! Finds the master of an installation and connects to it.

use std::fmt::Display;
use std::time::Duration;

use futures_util::FutureExt as _;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, FromRedisValue as _, Value, cmd};
use tokio::time::timeout;

use super::error::RedisServerError;
use super::first_success::first_success;
use super::timeouts::RedisTimeouts;
use super::tls;
use super::url::RedisUrl;
use crate::settings::ClientTls;

/// While one server or sentinel does not answer, the next one is tried after this part of the time limit.
const STAGGER_DIVISOR: u32 = 5;

/// Connects to the present master.
pub(super) struct Connector {
    url: RedisUrl,
    tls: ClientTls,
    /// Time limit for the whole attempt: name resolution, sentinels, connection and the query for the role.
    limit: Duration,
    config: AsyncConnectionConfig,
}

impl Connector {
    /// # Errors
    /// [`RedisServerError::Tls`] if the files for TLS cannot be used.
    pub(super) fn new(
        url: RedisUrl,
        tls: &ClientTls,
        timeouts: &RedisTimeouts,
    ) -> Result<Self, RedisServerError> {
        let any = match &url {
            RedisUrl::Servers(servers) => servers.first(),
            RedisUrl::Sentinels { server, .. } => Some(&**server),
        };
        if let Some(any) = any {
            tls::client(any.clone(), tls)?;
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.answer));
        Ok(Self { url, tls: tls.clone(), limit: timeouts.connect, config })
    }

    /// Connects to the first master that is found.
    ///
    /// # Errors
    /// [`RedisServerError::Unreachable`], also if the address leads to a replica; [`RedisServerError::Refused`],
    /// [`RedisServerError::Tls`].
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisServerError> {
        let stagger = self.limit / STAGGER_DIVISOR;
        let finding = async {
            match &self.url {
                RedisUrl::Servers(servers) => {
                    let attempts = servers.iter().map(|server| self.master_at(server).boxed());
                    first_success(attempts.collect(), stagger).await
                }
                RedisUrl::Sentinels { sentinels, master, server, tls } => {
                    let attempts = sentinels
                        .iter()
                        .map(|sentinel| self.master_known_to(sentinel, master, server, *tls).boxed());
                    first_success(attempts.collect(), stagger).await
                }
            }
        };
        match timeout(self.limit, finding).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(errors)) => Err(Self::explain(most_informative(&errors))),
            Err(_) => Err(RedisServerError::Unreachable(format!("no connection within {:?}", self.limit))),
        }
    }

    /// Converts `error` for the caller. During a failover, sentinels or a name that follows the master may lead to a
    /// replica; then the master is unreachable for all instances. An instance with a wrong address never reached a
    /// master, so it does not become ready.
    pub(super) fn explain(error: RedisServerError) -> RedisServerError {
        match error {
            RedisServerError::NotMaster(reason) => {
                RedisServerError::Unreachable(format!("there is no master at present: {reason}"))
            }
            error => error,
        }
    }

    /// Connects to `server` if it is a master.
    async fn master_at(&self, server: &ConnectionInfo) -> Result<MultiplexedConnection, RedisServerError> {
        let mut connection = self.open(server).await?;
        assert_master(&mut connection, server.addr()).await?;
        Ok(connection)
    }

    async fn master_known_to(
        &self,
        sentinel: &ConnectionInfo,
        master: &str,
        server: &ConnectionInfo,
        tls: bool,
    ) -> Result<MultiplexedConnection, RedisServerError> {
        let mut connection = self.open(sentinel).await?;
        let question = cmd("SENTINEL").arg("get-master-addr-by-name").arg(master).take();
        let answer: Result<Option<(String, u16)>, _> = question.query_async(&mut connection).await;
        let (host, port) =
            answer.map_err(|error| at(sentinel.addr(), RedisServerError::of(&error)))?.ok_or_else(|| {
                let reason = format!("the sentinel {} knows no master `{master}`", sentinel.addr());
                RedisServerError::Unreachable(reason)
            })?;
        let address = if tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        self.master_at(&server.clone().set_addr(address)).await
    }

    async fn open(&self, server: &ConnectionInfo) -> Result<MultiplexedConnection, RedisServerError> {
        // The end of a large value is sent at once, instead of after the server has acknowledged what came before.
        let server = server.clone().set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = tls::client(server.clone(), &self.tls)?;
        let opened = client.get_multiplexed_async_connection_with_config(&self.config).await;
        opened.map_err(|error| at(server.addr(), RedisServerError::of(&error)))
    }
}

/// Asks a server for its role.
///
/// # Errors
/// [`RedisServerError::NotMaster`] for a replica, [`RedisServerError::Refused`] for a server that is no store. A server
/// that does not answer the question, as some proxies and hosted servers do, counts as a master until it refuses a
/// write.
pub(super) async fn assert_master(
    connection: &mut MultiplexedConnection,
    address: impl Display,
) -> Result<(), RedisServerError> {
    let role: Value = match cmd("ROLE").query_async(connection).await {
        Ok(role) => role,
        Err(error) if matches!(error.code(), Some("ERR" | "NOPERM")) => return Ok(()),
        Err(error) => return Err(at(address, RedisServerError::of(&error))),
    };
    let role = match role {
        Value::Array(parts) => parts.into_iter().next().and_then(|role| String::from_redis_value(role).ok()),
        _ => None,
    };
    match role.as_deref() {
        Some("master") => Ok(()),
        Some("slave") => Err(RedisServerError::NotMaster(format!("{address} is a replica"))),
        // A Sentinel, for example, whose role no failover changes.
        other => Err(RedisServerError::Refused(format!("{address} is no store: its role is {other:?}"))),
    }
}

/// Adds the address of the server to its error.
fn at(address: impl Display, error: RedisServerError) -> RedisServerError {
    match error {
        RedisServerError::Unreachable(reason) => {
            RedisServerError::Unreachable(format!("{address}: {reason}"))
        }
        RedisServerError::NotMaster(reason) => RedisServerError::NotMaster(format!("{address}: {reason}")),
        RedisServerError::Refused(reason) => RedisServerError::Refused(format!("{address}: {reason}")),
        error => error,
    }
}

/// Selects the most informative error of several servers. Another error is preferred to that of a replica, because a
/// replica is expected where another server is the master.
fn most_informative(errors: &[RedisServerError]) -> RedisServerError {
    let is_replica = |error: &RedisServerError| matches!(error, RedisServerError::NotMaster(_));
    let wrong = errors.iter().find(|error| error.is_misconfiguration());
    let chosen = wrong.or_else(|| errors.iter().find(|error| !is_replica(error))).or_else(|| errors.first());
    chosen.cloned().unwrap_or_else(|| RedisServerError::Unreachable("the address names no server".into()))
}

#[cfg(test)]
mod tests {
    use super::RedisServerError::{NotMaster, Refused, Unreachable};
    use super::*;

    #[test]
    fn the_error_of_several_servers_is_the_one_that_says_most() {
        let (replica, away, refused) = (NotMaster("a".into()), Unreachable("b".into()), Refused("c".into()));
        assert_eq!(most_informative(&[replica.clone(), away.clone(), refused.clone()]), refused);
        assert_eq!(most_informative(&[replica.clone(), away.clone()]), away);
        assert_eq!(most_informative(&[replica.clone(), replica.clone()]), replica);
    }
}
