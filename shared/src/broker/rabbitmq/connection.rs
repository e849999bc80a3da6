//! One connection to the broker, until its first failure. A failed connection is never repaired, only replaced.

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, io};

use futures_util::{Stream, StreamExt};
use lapin::{Channel, Connection, ConnectionStatus, Event};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::address::{Cluster, ServerAddress, Socket, fair_share};
use super::topology::Topology;
use crate::broker::port::BrokerError;

/// Timeout for opening a connection, over all nodes of a cluster.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum time for each node to answer, whatever the number of nodes.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout for a response of the server. Shorter than the default confirm timeout of 5 s, so a publisher sees a dead
/// connection replaced before it gives up.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout for declaring all queues. On a cluster each quorum queue needs a leader election.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(30);

/// Interval at which the connection's status is polled, in case its end caused no event.
const STATUS_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Timeout for closing a connection gracefully.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Notifies the users of a connection that it has failed, with the reason.
#[derive(Clone, Default)]
struct FailureSignal {
    reason: Arc<OnceLock<String>>,
    token: CancellationToken,
}

impl FailureSignal {
    fn set(&self, reason: &dyn fmt::Display) {
        let _ = self.reason.set(reason.to_string());
        self.token.cancel();
    }
}

/// A connection. A user that gets an error from it calls [`BrokerConnection::fail`], and the supervisor replaces it.
pub(super) struct BrokerConnection {
    open: Option<(Connection, Socket)>,
    failure: FailureSignal,
    /// The server's reason for blocking publishers; `None` while it blocks none.
    blocked: watch::Receiver<Option<String>>,
    /// The node's address, without credentials.
    address: String,
    runtime: Handle,
}

impl BrokerConnection {
    /// Connects to the first node that takes the connection, and declares the queues there.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`], unless every node refuses for a reason that needs an operator; then the last of
    /// these reasons.
    pub(super) async fn open(
        cluster: &Cluster,
        topology: &Topology,
        name: &str,
    ) -> Result<Self, BrokerError> {
        let nodes = cluster.in_random_order();
        let mut left = CONNECT_TIMEOUT;
        let mut failures = Vec::new();
        for (done, node) in nodes.iter().enumerate() {
            let limit = fair_share(left, nodes.len() - done).max(MIN_CONNECT_TIMEOUT);
            let started = Instant::now();
            let connected = node.connect(limit, cluster.tls(), name).await;
            left = left.saturating_sub(started.elapsed());
            let opened = match connected {
                Ok((connection, socket)) => Self::opened(connection, socket, node, topology).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(error) => failures.push((node, error)),
            }
        }
        Err(combined(failures))
    }

    /// Declares the queues on a new connection.
    async fn opened(
        connection: Connection,
        socket: Socket,
        node: &ServerAddress,
        topology: &Topology,
    ) -> Result<Self, BrokerError> {
        let opened = Self::followed(connection, socket, node);
        match timeout(DECLARE_TIMEOUT, topology.declare(opened.connection())).await {
            Ok(Ok(())) => Ok(opened),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BrokerError::Unreachable(format!("no queues within {DECLARE_TIMEOUT:?}"))),
        }
    }

    /// Wraps a new connection and follows its events, without declaring the queues.
    pub(super) fn followed(connection: Connection, socket: Socket, node: &ServerAddress) -> Self {
        let failure = FailureSignal::default();
        let runtime = Handle::current();
        let (blocking, blocked) = watch::channel(None);
        let (status, events) = (connection.status().clone(), connection.events_listener());
        runtime.spawn(follow(status, events, failure.clone(), blocking));
        let address = node.to_string();
        Self { open: Some((connection, socket)), failure, blocked, address, runtime }
    }

    /// The node's address, without credentials.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The virtual host of the connection.
    pub(super) fn virtual_host(&self) -> String {
        self.connection().status().vhost().as_str().to_owned()
    }

    /// Opens a channel.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection().create_channel().await
    }

    /// Whether the server blocks publishers because its memory or disk is full (a resource alarm).
    pub(super) fn is_blocked(&self) -> bool {
        self.connection().status().blocked()
    }

    /// The server's reason for blocking publishers; `None` while it blocks none.
    pub(super) fn blocked_reason(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Waits until the server has blocked publishers for `period` without a break. Does not return if it never does.
    pub(super) async fn blocked_for(&self, period: Duration) {
        let mut blocked = self.blocked.clone();
        loop {
            if blocked.wait_for(Option::is_some).await.is_err() {
                // The connection has ended, which its other users notice.
                return std::future::pending().await;
            }
            if timeout(period, blocked.wait_for(Option::is_none)).await.is_err() {
                return;
            }
        }
    }

    /// Marks the connection as failed, so the supervisor replaces it. Operations in progress on it may still succeed.
    pub(super) fn fail(&self, reason: &dyn fmt::Display) {
        self.failure.set(reason);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.token.is_cancelled()
    }

    /// Waits for the first failure and returns its reason.
    pub(super) async fn failed(&self) -> &str {
        self.failure.token.cancelled().await;
        self.failure.reason.get().map_or("", String::as_str)
    }

    /// Closes the connection gracefully.
    pub(super) async fn close(&self) {
        self.fail(&"closed");
        close(self.connection()).await;
    }

    fn connection(&self) -> &Connection {
        let (connection, _) = self.open.as_ref().expect("only drop takes it");
        connection
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        self.fail(&"dropped");
        let Some((connection, socket)) = self.open.take() else { return };
        self.runtime.spawn(async move {
            close(&connection).await;
            drop(socket);
        });
    }
}

/// Bounds an operation by [`RESPONSE_TIMEOUT`].
pub(super) async fn with_response_timeout<T>(
    operation: impl Future<Output = lapin::Result<T>>,
) -> lapin::Result<T> {
    timeout(RESPONSE_TIMEOUT, operation)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn close(connection: &Connection) {
    // An error means that the connection is closed already. After a timeout, dropping its socket ends it.
    let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await;
}

/// The error of a cluster whose nodes all failed.
fn combined(mut failures: Vec<(&&ServerAddress, BrokerError)>) -> BrokerError {
    if failures.iter().all(|(_, error)| error.needs_operator())
        && let Some((_, error)) = failures.pop()
    {
        return error;
    }
    let text = |error: &BrokerError| match error {
        BrokerError::Unreachable(reason) => reason.clone(),
        other => other.to_string(),
    };
    let each: Vec<_> = failures.iter().map(|(node, error)| format!("{node}: {}", text(error))).collect();
    BrokerError::Unreachable(each.join("; "))
}

/// Follows a connection's events, and signals its end. The users of channels watch those themselves.
async fn follow(
    status: ConnectionStatus,
    events: impl Stream<Item = Event>,
    failure: FailureSignal,
    blocked: watch::Sender<Option<String>>,
) {
    let mut events = std::pin::pin!(events);
    let mut poll = interval(STATUS_POLL_INTERVAL);
    loop {
        tokio::select! {
            () = failure.token.cancelled() => break,
            event = events.next() => match event {
                Some(Event::Error(error)) if !error.is_amqp_soft_error() => failure.set(&error),
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(
                        reason,
                        "the broker blocks publishers, because its memory or disk is full; jobs are refused until it \
                         unblocks them"
                    );
                    blocked.send_replace(Some(reason));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker unblocks publishers");
                    blocked.send_replace(None);
                }
                Some(_) => (),
                None => failure.set(&"the connection is gone"),
            },
            _ = poll.tick() => if !status.connected() {
                failure.set(&"the connection is closed");
            },
        }
    }
    if blocked.borrow().is_some() {
        tracing::info!("the connection ended on which the broker blocked publishers");
    }
}
