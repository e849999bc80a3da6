//! Keeps a connection open: replaces it after its first failure, with back-off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::ServerAddress;
use super::connection::BrokerConnection;
use super::topology::Topology;
use crate::broker::port::BrokerError;
use crate::retry::Backoff;

/// A connection that lasted this long was stable, and its replacement is opened without a delay. One that failed sooner
/// is likely to fail again soon, so the back-off continues.
const MIN_STABLE_DURATION: Duration = Duration::from_secs(10);

#[derive(Clone)]
enum ConnectionState {
    /// The first attempt is under way, or one right after a failure.
    Connecting,
    Up(Arc<BrokerConnection>),
    /// The last attempt failed. The next one follows after a delay.
    Down(BrokerError),
    Closed,
}

/// Gives access to the present connection.
#[derive(Clone)]
pub(super) struct ConnectionSupervisor {
    state: watch::Receiver<ConnectionState>,
}

impl ConnectionSupervisor {
    /// Keeps a connection to `address` open until `closing`. `name` appears in the broker's list of connections.
    pub(super) fn start(
        address: ServerAddress,
        topology: Arc<Topology>,
        name: &'static str,
        closing: CancellationToken,
    ) -> Self {
        let (sender, state) = watch::channel(ConnectionState::Connecting);
        tokio::spawn(async move {
            closing.run_until_cancelled(keep_open(&address, &topology, name, &sender)).await;
            if let ConnectionState::Up(connection) = sender.send_replace(ConnectionState::Closed) {
                connection.close().await;
            }
        });
        Self { state }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), ConnectionState::Up(connection) if !connection.has_failed())
    }

    /// The present connection. Waits while the first attempt after a failure is under way.
    ///
    /// # Errors
    /// [`BrokerError`]: the last attempt failed, or the supervisor was closed.
    pub(super) async fn current(&self) -> Result<Arc<BrokerConnection>, BrokerError> {
        let mut state = self.state.clone();
        let attempted = state.wait_for(|state| match state {
            ConnectionState::Connecting => false,
            ConnectionState::Up(connection) => !connection.has_failed(),
            ConnectionState::Down(_) | ConnectionState::Closed => true,
        });
        match attempted.await.as_deref() {
            Ok(ConnectionState::Up(connection)) => Ok(Arc::clone(connection)),
            Ok(ConnectionState::Down(error)) => Err(error.clone()),
            Ok(ConnectionState::Connecting | ConnectionState::Closed) | Err(_) => {
                Err(BrokerError::Unreachable("closed".into()))
            }
        }
    }

    /// Waits for a working connection, however long that takes; `None` after the supervisor was closed.
    pub(super) async fn wait_connected(&self) -> Option<Arc<BrokerConnection>> {
        let mut state = self.state.clone();
        let connected = state.wait_for(|state| match state {
            ConnectionState::Up(connection) => !connection.has_failed(),
            ConnectionState::Closed => true,
            ConnectionState::Connecting | ConnectionState::Down(_) => false,
        });
        match connected.await.as_deref() {
            Ok(ConnectionState::Up(connection)) => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Waits until the last connection is closed.
    pub(super) async fn closed(&self) {
        // The task that closes the connection owns the sender and drops it at its end.
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state.borrow(), ConnectionState::Closed)
    }
}

async fn keep_open(
    address: &ServerAddress,
    topology: &Topology,
    name: &str,
    state: &watch::Sender<ConnectionState>,
) {
    let mut retries = Backoff::CONNECTION.retries();
    loop {
        match BrokerConnection::open(address, topology, name).await {
            Ok(connection) => {
                tracing::info!(%address, name, "connected to the broker");
                let since = Instant::now();
                let connection = Arc::new(connection);
                state.send_replace(ConnectionState::Up(Arc::clone(&connection)));
                let reason = connection.failed().await;
                tracing::warn!(%address, name, reason, "the connection to the broker failed; replacing it");
                state.send_replace(ConnectionState::Connecting);
                if since.elapsed() >= MIN_STABLE_DURATION {
                    retries.reset();
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(%address, name, %error, "the broker is not reachable");
                state.send_replace(ConnectionState::Down(error));
            }
        }
        retries.wait().await;
    }
}
