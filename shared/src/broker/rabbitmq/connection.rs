//! One connection to the broker, until its first failure. A failed connection is never repaired, only replaced.

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, io};

use futures_util::{Stream, StreamExt};
use lapin::{Channel, Connection, ConnectionStatus, Event};
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::address::{ServerAddress, Socket};
use super::topology::Topology;
use crate::broker::port::BrokerError;

/// Timeout for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for a response of the server. Shorter than the default confirm timeout of 5 s, so a publisher sees a dead
/// connection replaced before it gives up.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout for declaring all queues. On a cluster each quorum queue needs a leader election.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(30);

/// Interval at which the connection's status is polled, in case its end caused no event.
const STATUS_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Timeout for closing a connection in good order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Tells the users of a connection that it has failed, and why.
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

/// A connection. Whoever meets an error on it calls [`BrokerConnection::fail`], and the supervisor replaces it.
pub(super) struct BrokerConnection {
    open: Option<(Connection, Socket)>,
    failure: FailureSignal,
    runtime: Handle,
}

impl BrokerConnection {
    /// Connects and declares the queues.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] if the server does not answer, [`BrokerError::Topology`] if it refuses a
    /// declaration.
    pub(super) async fn open(
        address: &ServerAddress,
        topology: &Topology,
        name: &str,
    ) -> Result<Self, BrokerError> {
        let connected = timeout(CONNECT_TIMEOUT, address.connect(name)).await;
        let (connection, socket) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(BrokerError::Unreachable(error.to_string())),
            Err(_) => {
                return Err(BrokerError::Unreachable(format!("no connection within {CONNECT_TIMEOUT:?}")));
            }
        };
        let failure = FailureSignal::default();
        let runtime = Handle::current();
        runtime.spawn(watch(connection.status().clone(), connection.events_listener(), failure.clone()));
        let opened = Self { open: Some((connection, socket)), failure, runtime };
        let declared = async { topology.declare(&opened.channel().await?).await };
        match timeout(DECLARE_TIMEOUT, declared).await {
            Ok(Ok(())) => Ok(opened),
            Ok(Err(error)) if error.is_amqp_soft_error() => Err(BrokerError::Topology(error.to_string())),
            Ok(Err(error)) => Err(BrokerError::Unreachable(error.to_string())),
            Err(_) => Err(BrokerError::Unreachable(format!("no queues within {DECLARE_TIMEOUT:?}"))),
        }
    }

    /// Opens a channel.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection().create_channel().await
    }

    /// Whether the server blocks publishers because its memory or disk is full (a resource alarm).
    pub(super) fn is_blocked(&self) -> bool {
        self.connection().status().blocked()
    }

    /// Has the connection replaced. Operations in progress on it may still succeed.
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

    /// Closes the connection in good order.
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
    // An error means that it is closed already. After a timeout, the drop of its socket ends it.
    let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await;
}

/// Watches a connection and signals its end. The users of channels watch those themselves.
async fn watch(status: ConnectionStatus, events: impl Stream<Item = Event>, failure: FailureSignal) {
    let mut events = std::pin::pin!(events);
    let mut poll = interval(STATUS_POLL_INTERVAL);
    loop {
        tokio::select! {
            () = failure.token.cancelled() => return,
            event = events.next() => match event {
                Some(Event::Error(error)) if !error.is_amqp_soft_error() => failure.set(&error),
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(reason, "the broker blocks publishers (memory or disk alarm)");
                }
                Some(Event::ConnectionUnblocked) => tracing::info!("the broker unblocks publishers"),
                Some(_) => (),
                None => failure.set(&"the connection is gone"),
            },
            _ = poll.tick() => if !status.connected() {
                failure.set(&"the connection is closed");
            },
        }
    }
}
