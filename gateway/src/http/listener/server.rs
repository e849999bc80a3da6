//! The accept loop: HTTP/1.1 and HTTP/2 on one listener, with TLS or without, with limits that `axum::serve` does not
//! set.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use faceline_shared::shutdown::CancellationToken;
use futures_util::FutureExt as _;
use prometheus::IntCounter;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::activity::{ConnectionActivity, IdleConnections};
use super::connection::{ConnectionHandler, ShutdownSteps};
use super::open_files;
use super::proxies::TrustedProxies;
use super::tls::{Certificate, TlsError};
use crate::http::GatewayState;
use crate::http::layers::cors;
use crate::http::protocol::Protocols;
use crate::http::routes::router::router;

/// The pause after the system could not accept a connection, for example because the limit of open files is reached.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the system queues until they are accepted; it may have a lower limit of its own
/// (`net.core.somaxconn`). If the queue is full, the caller's system tries again only after a second, which slows
/// a short burst down.
const BACKLOG: u32 = 4096;
/// Time that requests in progress have at a shutdown, in addition to a job's deadline.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// The public listener.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    connections: ConnectionHandler,
    max_connections: usize,
    shutdown_delay: Duration,
    drain_timeout: Duration,
    idle: Arc<IdleConnections>,
    shed_connections: IntCounter,
    _certificate: Option<AbortOnDropHandle<()>>,
}

/// The reason why the listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("http.listen {address}: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate is not usable.
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
}

impl Server {
    /// Binds the address. Connections wait in the system's backlog until [`Self::serve`].
    ///
    /// # Errors
    /// [`ListenError::Address`] or [`ListenError::Tls`].
    #[expect(clippy::unused_async, reason = "a listener belongs to the runtime that it is opened in")]
    pub async fn bind(state: Arc<GatewayState>) -> Result<Self, ListenError> {
        let settings = &state.config.http;
        let address = settings.listen;
        let listener = listen(address).map_err(|source| ListenError::Address { address, source })?;
        let load = |files| Certificate::load(files, &state.metrics.registry);
        let certificate = settings.tls.as_ref().map(load).transpose()?;
        let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
        let connections = ConnectionHandler {
            protocols: Protocols::new(settings),
            router: cors::allow(router(Arc::clone(&state)), &settings.cors_origins, &state.capture),
            tls,
            proxies: TrustedProxies::new(settings),
            header_timeout: settings.header_timeout,
            idle_timeout: settings.idle_timeout,
            max_age: settings.max_connection_age,
            open_connections: state.metrics.connections.clone(),
            aged_connections: state.metrics.aged_connections.clone(),
            refused_proxy_headers: state.metrics.refused_proxy_headers.clone(),
        };
        let watching = certificate.map(|certificate| tokio::spawn(certificate.watch()));
        Ok(Self {
            address: listener.local_addr().map_err(|source| ListenError::Address { address, source })?,
            listener,
            connections,
            max_connections: open_files::raise_limit_for(settings.max_connections),
            shutdown_delay: settings.shutdown_delay(),
            drain_timeout: state.config.jobs.deadline.max(state.config.jobs.video_deadline) + DRAIN_MARGIN,
            idle: Arc::default(),
            shed_connections: state.metrics.shed_connections.clone(),
            _certificate: watching.map(AbortOnDropHandle::new),
        })
    }

    /// The address that was bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The longest time from the stop signal to the end of [`Self::serve`].
    #[must_use]
    pub fn max_shutdown(&self) -> Duration {
        self.shutdown_delay + self.drain_timeout
    }

    /// Serves until `shutdown`, and for `http.shutdown_delay` after it, in which load balancers notice that the gateway
    /// is no longer ready. Then accepts no more connections, and returns when all requests in progress are answered or
    /// the drain timeout has passed.
    pub async fn serve(self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.max_connections));
        let mut open = JoinSet::new();
        let steps = ShutdownSteps::default();
        let mut stepping = pin!(step(self.shutdown_delay, shutdown, steps.clone()));
        loop {
            tokio::select! {
                biased;
                () = &mut stepping => break,
                Some(_) = open.join_next() => (),
                stream = self.accept() => {
                    let slot = tokio::select! {
                        biased;
                        () = &mut stepping => break,
                        slot = self.slot(&slots) => slot,
                    };
                    open.spawn(self.serve_connection(stream, slot, steps.clone()));
                }
            }
        }
        // Closing the listener would reset the connections that the system has accepted meanwhile.
        while let Some(Ok((stream, _))) = self.listener.accept().now_or_never()
            && let Ok(slot) = Arc::clone(&slots).try_acquire_owned()
        {
            open.spawn(self.serve_connection(stream, Some(slot), steps.clone()));
        }
        drop(self.listener);
        let all_ended = timeout(self.drain_timeout, async { while open.join_next().await.is_some() {} });
        if all_ended.await.is_err() {
            tracing::warn!(connections = open.len(), "connections are cut: they did not close in time");
            // Drops the handlers before this returns, so the work that they start on drop, such as writing a usage
            // record, has begun.
            open.shutdown().await;
        }
    }

    fn serve_connection(
        &self,
        stream: TcpStream,
        slot: Option<OwnedSemaphorePermit>,
        steps: ShutdownSteps,
    ) -> impl Future<Output = ()> + use<> {
        let activity = ConnectionActivity::new(Arc::clone(&self.idle));
        let served = self.connections.clone().serve(stream, activity, steps);
        async move {
            let _slot = slot;
            served.await;
        }
    }

    async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) if is_peer_error(&error) => (),
                Err(error) => {
                    let shed = self.idle.try_shed();
                    tracing::warn!(%error, shed, "a connection cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Returns a slot for one more connection: a free one, or that of the connection that has been idle longest. Waits
    /// while all connections are busy. `None` only for a closed semaphore, and it is never closed.
    async fn slot(&self, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let make_room = async {
            self.idle.shed().await;
            self.shed_connections.inc();
            std::future::pending().await
        };
        tokio::select! {
            biased;
            slot = Arc::clone(slots).acquire_owned() => slot.ok(),
            none = make_room => none,
        }
    }
}

/// Takes the steps of a shutdown one after the other. Callers are asked to leave only in the second half of the delay:
/// a load balancer that still considers this gateway ready would send them back to it.
async fn step(delay: Duration, shutdown: CancellationToken, steps: ShutdownSteps) {
    shutdown.cancelled().await;
    sleep(delay / 2).await;
    steps.leave.cancel();
    sleep(delay / 2).await;
    steps.close.cancel();
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart need not wait for connections of the previous run to leave TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether an error of `accept` belongs to one connection rather than to the listener.
fn is_peer_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
