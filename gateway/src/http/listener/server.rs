//! The accept loop: HTTP/1.1 and HTTP/2 on one listener, with TLS or without, under bounds that `axum::serve` does not set.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faceline_shared::settings::HttpSettings;
use faceline_shared::shutdown::CancellationToken;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use prometheus::IntCounter;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::connection::Host;
use super::idle::{Activity, Idle};
use super::open_files;
use super::tls::{Certificate, TlsError};
use crate::http::State;
use crate::http::layers::cors;
use crate::http::routes::router::router;

/// The system has no room for a connection: this long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// An HTTP/2 peer that is silent for so long is asked whether it is there, and given up after as long again.
const PING: Duration = Duration::from_secs(20);
/// Connections that the system keeps ready until they are accepted; it may have a lower bound of its own
/// (`net.core.somaxconn`). One that finds no room comes again after a second, so that a short burst would be long.
const BACKLOG: u32 = 4096;
/// Requests under way at a shutdown end within their deadline and this.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// hyper does not take less.
const SMALLEST_BUFFER: usize = 8 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 100;
/// HTTP/2 requests that were taken back before they were looked at: more end the connection (CVE-2023-44487).
const MAX_TAKEN_BACK: usize = 20;
/// HTTP/2 requests that broke the rules: more end the connection.
const MAX_BROKEN: usize = 100;
/// What is kept of an HTTP/2 answer that its caller does not read.
const MAX_UNREAD: usize = 64 << 10;

/// The public listener.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    host: Host,
    max_connections: usize,
    drain: Duration,
    idle: Arc<Idle>,
    shed: IntCounter,
    _certificate: Option<AbortOnDropHandle<()>>,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not to be had.
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
    /// Takes the address; callers wait in the system's backlog until [`Self::serve`].
    ///
    /// # Errors
    /// The address cannot be taken, or the certificate is not usable.
    #[expect(clippy::unused_async, reason = "a listener belongs to the runtime that it is opened in")]
    pub async fn bind(state: Arc<State>) -> Result<Self, ListenError> {
        let settings = &state.config.http;
        let address = settings.listen;
        let listener = listen(address).map_err(|source| ListenError::Address { address, source })?;
        let certificate = settings.tls.as_ref();
        let certificate =
            certificate.map(|files| Certificate::load(files, &state.metrics.all)).transpose()?;
        let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
        let host = Host {
            builder: builder(settings),
            router: cors::allow(router(Arc::clone(&state)), &settings.cors_origins),
            tls,
            first: settings.header_timeout,
            idle: settings.idle_timeout,
            age: settings.max_connection_age,
            open: state.metrics.connections.clone(),
            aged: state.metrics.aged.clone(),
        };
        let watching = certificate.map(|certificate| tokio::spawn(certificate.watch()));
        Ok(Self {
            address: listener.local_addr().map_err(|source| ListenError::Address { address, source })?,
            listener,
            host,
            max_connections: open_files::room_for(settings.max_connections),
            drain: state.config.jobs.deadline + DRAIN_MARGIN,
            idle: Arc::default(),
            shed: state.metrics.shed.clone(),
            _certificate: watching.map(AbortOnDropHandle::new),
        })
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; then accepts nothing more, and returns when all requests under way are answered.
    pub async fn serve(self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.max_connections));
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = open.join_next() => (),
                stream = self.accept() => {
                    let Some(slot) = shutdown.run_until_cancelled(self.room(&slots)).await else { break };
                    let activity = Activity::new(Arc::clone(&self.idle));
                    let served = self.host.clone().serve(stream, activity, shutdown.clone());
                    open.spawn(async move {
                        let _slot = slot;
                        served.await;
                    });
                }
            }
        }
        drop(self.listener);
        let all_ended = timeout(self.drain, async { while open.join_next().await.is_some() {} });
        if all_ended.await.is_err() {
            tracing::warn!(connections = open.len(), "connections are cut: they did not end in time");
        }
    }

    async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) if is_the_peers(&error) => (),
                Err(error) => {
                    let shed = self.idle.try_shed();
                    tracing::warn!(%error, shed, "a connection cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A place for one more connection: a free one, or that of the connection that has been idle longest. Where all
    /// are busy, the first that is not. The semaphore is never closed.
    async fn room(&self, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let make_room = async {
            self.idle.shed().await;
            self.shed.inc();
            std::future::pending().await
        };
        tokio::select! {
            biased;
            slot = Arc::clone(slots).acquire_owned() => slot.ok(),
            none = make_room => none,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart need not wait for connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn builder(settings: &HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(MAX_HEADERS)
        // Headers must fit into the buffer.
        .max_buf_size(settings.max_header_bytes.max(SMALLEST_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(settings.max_streams)
        .max_pending_accept_reset_streams(MAX_TAKEN_BACK)
        .max_local_error_reset_streams(MAX_BROKEN)
        .max_send_buf_size(MAX_UNREAD)
        .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX));
    builder
}

/// Errors of one connection rather than of the listener.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
