//! Keeps a connection open: replaces it after its first failure, with back-off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::Cluster;
use super::connection::BrokerConnection;
use super::problem::ProblemLog;
use super::topology::Topology;
use crate::broker::port::BrokerError;
use crate::retry::Backoff;

/// A connection that lasted this long was stable, and its replacement is opened without a delay. One that failed sooner
/// is likely to fail again soon, so the back-off continues.
const MIN_STABLE_DURATION: Duration = Duration::from_secs(10);

/// The delays after an error that needs an operator. They grow longer than others: an attempt with the same settings
/// fails again, unless an operator corrects the broker.
const MISCONFIGURED: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(30) };

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
    /// Keeps a connection to one node of `cluster` open until `closing`. `name` appears in the broker's list of
    /// connections.
    pub(super) fn start(
        cluster: Cluster,
        topology: Arc<Topology>,
        name: &'static str,
        problems: Arc<ProblemLog>,
        closing: CancellationToken,
    ) -> Self {
        let (sender, state) = watch::channel(ConnectionState::Connecting);
        tokio::spawn(async move {
            closing.run_until_cancelled(keep_open(&cluster, &topology, name, &problems, &sender)).await;
            if let ConnectionState::Up(connection) = sender.send_replace(ConnectionState::Closed) {
                connection.close().await;
            }
        });
        Self { state }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), ConnectionState::Up(connection) if !connection.has_failed())
    }

    /// The broker's reason for blocking publishers on the present connection; `None` while it blocks none.
    pub(super) fn blocked_reason(&self) -> Option<String> {
        match &*self.state.borrow() {
            ConnectionState::Up(connection) if !connection.has_failed() => connection.blocked_reason(),
            _ => None,
        }
    }

    /// Error of the last attempt to connect; `None` if it succeeded, or while the next one follows at once.
    pub(super) fn problem(&self) -> Option<BrokerError> {
        match &*self.state.borrow() {
            ConnectionState::Down(error) => Some(error.clone()),
            ConnectionState::Connecting | ConnectionState::Up(_) | ConnectionState::Closed => None,
        }
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
    cluster: &Cluster,
    topology: &Topology,
    name: &'static str,
    problems: &ProblemLog,
    state: &watch::Sender<ConnectionState>,
) {
    let mut retries = Backoff::CONNECTION.retries();
    let mut slow_retries = MISCONFIGURED.retries();
    loop {
        match BrokerConnection::open(cluster, topology, name).await {
            Ok(connection) => {
                problems.connected(name, &connection.address());
                slow_retries.reset();
                let since = Instant::now();
                let connection = Arc::new(connection);
                state.send_replace(ConnectionState::Up(Arc::clone(&connection)));
                let reason = connection.failed().await;
                let address = connection.address();
                tracing::warn!(address, name, reason, "the connection to the broker failed; replacing it");
                state.send_replace(ConnectionState::Connecting);
                if since.elapsed() >= MIN_STABLE_DURATION {
                    retries.reset();
                    continue;
                }
            }
            Err(error) => {
                problems.failed(name, &error);
                let needs_operator = error.needs_operator();
                state.send_replace(ConnectionState::Down(error));
                if needs_operator {
                    slow_retries.wait().await;
                    continue;
                }
            }
        }
        retries.wait().await;
    }
}
