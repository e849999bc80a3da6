//! The accept loop: HTTP/1.1 and HTTP/2 without TLS on one listener, under bounds that `axum::serve` does not set.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use faceline_shared::config::Http;
use faceline_shared::shutdown::CancellationToken;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::State;
use super::descriptors;
use super::idle::{Activity, Idle, Patience};
use super::router::router;
use super::sent::Sent;
use crate::accounts::Peer;
use crate::admission::Connection;

/// The system has no room for a connection: this long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// An HTTP/2 peer that is silent for so long is asked whether it is there, and given up after as long again.
const PING: Duration = Duration::from_secs(20);
/// Connections that the system keeps ready until they are accepted; it may have a lower bound of its own
/// (`net.core.somaxconn`). One that finds no room comes again after a second, so that a short burst would be long.
const BACKLOG: u32 = 4096;
/// Requests under way at a shutdown end within their deadline and this.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// A connection that is idle for too long, or at a shutdown, is told so, and cut after this.
const FAREWELL: Duration = Duration::from_secs(1);
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
    builder: Builder<TokioExecutor>,
    router: Router,
    settings: Http,
    drain: Duration,
    idle: Arc<Idle>,
    connections: IntGauge,
    shed: IntCounter,
}

impl Server {
    /// Takes the address; callers wait in the system's backlog until [`Self::serve`].
    ///
    /// # Errors
    /// The address cannot be taken.
    #[expect(clippy::unused_async, reason = "a listener belongs to the runtime that it is opened in")]
    pub async fn bind(state: Arc<State>) -> io::Result<Self> {
        let mut settings = state.config.http.clone();
        settings.max_connections = descriptors::room_for(settings.max_connections);
        let listener = listen(settings.listen)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            builder: builder(&settings),
            drain: state.config.jobs.deadline + DRAIN_MARGIN,
            idle: Arc::default(),
            connections: state.metrics.connections.clone(),
            shed: state.metrics.shed.clone(),
            router: router(state),
            settings,
        })
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; then accepts nothing more, and returns when all requests under way are answered.
    pub async fn serve(self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.settings.max_connections));
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = open.join_next() => (),
                stream = self.accept() => {
                    let Some(slot) = shutdown.run_until_cancelled(self.room(&slots)).await else { break };
                    open.spawn(self.connection(stream, slot, shutdown.clone()));
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

    fn connection(
        &self,
        stream: TcpStream,
        slot: Option<OwnedSemaphorePermit>,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (builder, router, gauge) = (self.builder.clone(), self.router.clone(), self.connections.clone());
        let patience = Patience { first: self.settings.header_timeout, next: self.settings.idle_timeout };
        let parting = Patience { first: FAREWELL, next: FAREWELL };
        let activity = Activity::new(Arc::clone(&self.idle));
        async move {
            let _slot = slot;
            let _open = Open::new(gauge);
            // Small answers must not wait for the acknowledgement of what went before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY is not set");
            }
            let way = Arc::new(Connection::default());
            let peer = stream.peer_addr().map_or_else(|_| Peer::default(), |address| address.ip().into());
            let service = service_fn(|mut request: Request<Incoming>| {
                request.extensions_mut().insert(way.ask());
                request.extensions_mut().insert(peer);
                let under_way = activity.begin();
                let answer = router.clone().oneshot(request);
                let activity = Arc::clone(&activity);
                async move {
                    let _under_way = under_way;
                    answer.await.map(|response| response.map(|body| Sent::new(body, activity)))
                }
            });
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            let mut overdue = pin!(activity.overdue(Duration::ZERO, patience));
            let mut is_told = false;
            let mut is_ending = false;
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a connection ended with an error");
                        }
                        return;
                    }
                    () = activity.shed() => return,
                    () = &mut overdue => {
                        if is_told {
                            return;
                        }
                        // HTTP/2 callers so learn that what they send now is not looked at.
                        is_told = true;
                        connection.as_mut().graceful_shutdown();
                        overdue.set(activity.overdue(FAREWELL, parting));
                    }
                    () = shutdown.cancelled(), if !is_ending => {
                        (is_ending, is_told) = (true, true);
                        connection.as_mut().graceful_shutdown();
                        // Half a request, or an answer that is not read, are not waited for.
                        overdue.set(activity.overdue(FAREWELL, parting));
                    }
                }
            }
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

fn builder(settings: &Http) -> Builder<TokioExecutor> {
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

/// An open connection, as the gauge counts it.
struct Open(IntGauge);

impl Open {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
