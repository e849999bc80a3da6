//! One connection, from its first byte until it closes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use faceline_shared::shutdown::CancellationToken;
use http::Request;
use prometheus::{IntCounter, IntGauge};
use rand::RngExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::activity::{ConnectionActivity, IdleTimeouts};
use super::tracked_body::TrackedBody;
use crate::accounts::SourceAddress;
use crate::admission::ClientConnection;
use crate::http::protocol::Protocols;

/// The time between the announcement that a connection closes (HTTP/2 GOAWAY) and the moment when it is cut. A
/// connection closes because it was idle for too long or is too old, or because the process shuts down.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// Each connection's maximum age is multiplied by a random factor of this range, so that connections which were
/// opened together do not close together.
const AGE_FACTORS: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// What all connections of a listener share.
#[derive(Clone)]
pub(super) struct ConnectionHandler {
    pub(super) protocols: Protocols,
    pub(super) router: Router,
    /// `None` for a listener without TLS.
    pub(super) tls: Option<TlsAcceptor>,
    /// Time for the TLS handshake, and again for the headers of the first request.
    pub(super) header_timeout: Duration,
    /// Time that a connection may be idle after a request.
    pub(super) idle_timeout: Duration,
    /// The age at which connections close, before [`AGE_FACTORS`].
    pub(super) max_age: Duration,
    pub(super) open_connections: IntGauge,
    pub(super) aged_connections: IntCounter,
}

impl ConnectionHandler {
    /// Serves a connection until it ends. After `shutdown` it takes no more requests.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        activity: Arc<ConnectionActivity>,
        shutdown: CancellationToken,
    ) {
        let _open = OpenConnection::new(self.open_connections.clone());
        // Without Nagle's algorithm: a small answer must not wait for the acknowledgement of earlier packets.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        let source =
            stream.peer_addr().map_or_else(|_| SourceAddress::default(), |address| address.ip().into());
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, source, &activity, &shutdown).await;
        };
        let handshake = timeout(self.header_timeout, tls.accept(stream));
        let stream = tokio::select! {
            shaken = handshake => shaken,
            () = activity.shed() => return,
            () = shutdown.cancelled() => return,
        };
        match stream {
            Ok(Ok(stream)) => self.serve_http(stream, source, &activity, &shutdown).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        source: SourceAddress,
        activity: &Arc<ConnectionActivity>,
        shutdown: &CancellationToken,
    ) {
        let timeouts = IdleTimeouts { first_request: self.header_timeout, next_request: self.idle_timeout };
        let client_connection = Arc::new(ClientConnection::default());
        let service = |mut request: Request<Body>| {
            request.extensions_mut().insert(client_connection.next_request());
            request.extensions_mut().insert(source);
            let in_progress = activity.begin_request();
            let answer = self.router.clone().oneshot(request);
            let activity = Arc::clone(activity);
            async move {
                let _in_progress = in_progress;
                answer.await.map(|response| response.map(|body| TrackedBody::new(body, activity)))
            }
        };
        let closing = CancellationToken::new();
        let mut connection = pin!(self.protocols.serve(stream, service, &closing));
        let mut overdue = pin!(activity.idle_for_too_long(Duration::ZERO, timeouts));
        let mut aged = pin!(sleep(self.max_age.mul_f64(rand::rng().random_range(AGE_FACTORS))));
        let mut is_announced = false;
        let mut is_shutting_down = false;
        loop {
            let mut timeouts = IdleTimeouts { first_request: CLOSE_GRACE, next_request: CLOSE_GRACE };
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended with an error");
                    }
                    return;
                }
                () = activity.shed() => return,
                () = &mut overdue => {
                    if is_announced {
                        return;
                    }
                }
                () = &mut aged, if !is_announced => {
                    self.aged_connections.inc();
                    // The caller may read its last answer as slowly as any other.
                    timeouts.next_request = self.idle_timeout;
                }
                () = shutdown.cancelled(), if !is_shutting_down => is_shutting_down = true,
            }
            // HTTP/2 callers learn that requests which they send from now on are not handled. The connection does not
            // wait for the rest of a request, nor for a caller that does not read its answer.
            is_announced = true;
            closing.cancel();
            overdue.set(activity.idle_for_too_long(CLOSE_GRACE, timeouts));
        }
    }
}

/// Counts an open connection in the gauge.
struct OpenConnection(IntGauge);

impl OpenConnection {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
