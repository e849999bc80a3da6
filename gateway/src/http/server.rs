//! The accept loop: HTTP/1.1 and HTTP/2 without TLS on one listener, under bounds that `axum::serve` does not set.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use faceline_shared::config::Http;
use faceline_shared::shutdown::CancellationToken;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::State;
use super::router::router;

/// The system has no room for a connection: this long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// An HTTP/2 peer that is silent for so long is asked whether it is there, and given up after as long again.
const PING: Duration = Duration::from_secs(20);
/// Requests under way at a shutdown end within their deadline and this.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// hyper does not take less.
const SMALLEST_BUFFER: usize = 8 << 10;

/// The public listener.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    builder: Builder<TokioExecutor>,
    router: Router,
    settings: Http,
    drain: Duration,
    connections: IntGauge,
}

impl Server {
    /// Takes the address; callers wait in the system's backlog until [`Self::serve`].
    ///
    /// # Errors
    /// The address cannot be taken.
    pub async fn bind(state: Arc<State>) -> io::Result<Self> {
        let settings = state.config.http.clone();
        let listener = TcpListener::bind(settings.listen).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            builder: builder(&settings),
            drain: state.config.jobs.deadline + DRAIN_MARGIN,
            connections: state.metrics.connections.clone(),
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
                (stream, slot) = self.accept(&slots) => {
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

    async fn accept(&self, slots: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        // A slot first, so that what exceeds them stays in the backlog. The semaphore is never closed.
        let slot = Arc::clone(slots).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, slot),
                Err(error) if is_the_peers(&error) => (),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        slot: Option<OwnedSemaphorePermit>,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (builder, router, gauge) = (self.builder.clone(), self.router.clone(), self.connections.clone());
        let header_timeout = self.settings.header_timeout;
        async move {
            let _slot = slot;
            let _open = Open::new(gauge);
            // Small answers must not wait for the acknowledgement of what went before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY is not set");
            }
            let asked = AtomicBool::new(false);
            let service = service_fn(|request| {
                asked.store(true, Ordering::Relaxed);
                router.clone().oneshot(request)
            });
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            // hyper bounds the time of HTTP/1.1 headers, but not of the bytes that tell the versions apart.
            let mut silent = pin!(async {
                sleep(header_timeout).await;
                if asked.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            });
            let mut draining = false;
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a connection ended with an error");
                        }
                        return;
                    }
                    () = &mut silent => return,
                    () = shutdown.cancelled(), if !draining => {
                        draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

fn builder(settings: &Http) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        // Headers must fit into the buffer.
        .max_buf_size(settings.max_header_bytes.max(SMALLEST_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(settings.max_streams)
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
