//! One connection, from its first byte until it closes.

use std::convert::Infallible;
use std::fmt::Display;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use faceline_shared::shutdown::CancellationToken;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use prometheus::{IntCounter, IntGauge};
use rand::RngExt as _;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;

use super::activity::{ConnectionActivity, IdleTimeouts};
use super::proxies::{ProxyHeaderError, TrustedProxies};
use super::tracked_body::TrackedBody;
use super::tracked_stream::TrackedStream;
use crate::accounts::SourceAddress;
use crate::admission::ClientConnection;
use crate::http::protocol::Protocols;

/// The time between the announcement that a connection closes (HTTP/2 GOAWAY) and the moment when it is cut. A
/// connection closes because it was idle for too long or is too old, or because the process shuts down.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// Time that an HTTP/1.1 connection beyond its maximum age has for one more request, whose answer announces the end.
/// Closing it between two requests would lose a request that is in transit, and proxies do not repeat a POST.
const AGED_GRACE: Duration = Duration::from_secs(5);
/// TCP sends a keepalive probe after this time without traffic. While the peer does not answer, it sends further ones
/// every [`KEEPALIVE_INTERVAL`].
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Each connection's maximum age is multiplied by a random factor of this range, so connections that were opened
/// together do not close together.
const AGE_FACTORS: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// State shared by all connections of a listener.
#[derive(Clone)]
pub(super) struct ConnectionHandler {
    pub(super) protocols: Protocols,
    pub(super) router: Router,
    /// `None` for a listener without TLS.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) proxies: TrustedProxies,
    /// Time limit of each of three steps: the PROXY protocol header, the TLS handshake, the headers of a request.
    pub(super) header_timeout: Duration,
    /// Time that a connection may be idle after a request.
    pub(super) idle_timeout: Duration,
    /// The maximum age of a connection, before it is multiplied by a factor of [`AGE_FACTORS`].
    pub(super) max_age: Duration,
    pub(super) open_connections: IntGauge,
    pub(super) aged_connections: IntCounter,
    pub(super) refused_proxy_headers: IntCounter,
}

/// The two steps in which a listener shuts down.
#[derive(Clone, Debug, Default)]
pub(super) struct ShutdownSteps {
    /// Callers are asked to leave: answers announce the end of their connections. New connections are still served.
    pub(super) leave: CancellationToken,
    /// No connection takes another request.
    pub(super) close: CancellationToken,
}

impl ConnectionHandler {
    /// Serves a connection until the connection or the listener ends.
    pub(super) async fn serve(
        self,
        mut stream: TcpStream,
        activity: Arc<ConnectionActivity>,
        shutdown: ShutdownSteps,
    ) {
        let _open = OpenConnection::new(self.open_connections.clone());
        tune(&stream);
        let Ok(peer) = stream.peer_addr() else { return };
        let peer = peer.ip().to_canonical();
        let begun = async {
            let source = timeout(self.header_timeout, self.proxies.source(peer, &mut stream)).await;
            let source = match source {
                Ok(Ok(source)) => source,
                // A load balancer that only checks whether it can connect causes this.
                Ok(Err(ProxyHeaderError::Io(error))) => {
                    tracing::debug!(%peer, %error, "a proxy's connection ended before its header");
                    return None;
                }
                Ok(Err(error)) => return self.refuse_proxy_header(peer, &error),
                Err(_) => return self.refuse_proxy_header(peer, &"it did not arrive in time"),
            };
            let Some(tls) = &self.tls else { return Some((source, Transport::Plain(stream))) };
            match timeout(self.header_timeout, tls.accept(stream)).await {
                Ok(Ok(stream)) => return Some((source, Transport::Tls(Box::new(stream)))),
                Ok(Err(error)) => tracing::debug!(caller_address = %source, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(caller_address = %source, "a TLS handshake took too long"),
            }
            None
        };
        let begun = tokio::select! {
            begun = begun => begun,
            () = activity.shed() => return,
            () = shutdown.close.cancelled() => return,
        };
        match begun {
            Some((source, Transport::Plain(stream))) => {
                self.serve_http(stream, source, &activity, &shutdown).await;
            }
            Some((source, Transport::Tls(stream))) => {
                self.serve_http(stream, source, &activity, &shutdown).await;
            }
            None => (),
        }
    }

    /// Counts and logs a trusted proxy's connection that does not begin with a valid header of the PROXY protocol.
    fn refuse_proxy_header<T>(&self, peer: IpAddr, error: &dyn Display) -> Option<T> {
        self.refused_proxy_headers.inc();
        tracing::warn!(%peer, %error, "a trusted proxy's connection is closed, because http.proxy_protocol is set");
        None
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        source: IpAddr,
        activity: &Arc<ConnectionActivity>,
        shutdown: &ShutdownSteps,
    ) {
        // Proxies open connections in advance. With the PROXY protocol they open one for each caller instead, and
        // `source` is that caller.
        let is_proxy = self.proxies.include(source);
        let timeouts = IdleTimeouts {
            first_request: if is_proxy { self.idle_timeout } else { self.header_timeout },
            next_request: self.idle_timeout,
            headers: self.header_timeout,
        };
        let client_connection = Arc::new(ClientConnection::default());
        let service = |mut request: Request<Body>| {
            let in_progress = activity.begin_request();
            let (version, caller) = (request.version(), self.proxies.caller(source, request.headers()));
            request.extensions_mut().insert(client_connection.next_request());
            request.extensions_mut().insert(SourceAddress::from(caller));
            let answer = self.router.clone().oneshot(request);
            let activity = Arc::clone(activity);
            async move {
                let _in_progress = in_progress;
                let mut response: Response = answer.await?;
                // HTTP/2 announces the end by GOAWAY.
                if activity.is_last_answer() && version < Version::HTTP_2 {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, activity)))
            }
        };
        let stream = TrackedStream::new(stream, Arc::clone(activity));
        let closing = CancellationToken::new();
        let serving = self.protocols.serve(stream, service, activity, &closing);
        let mut connection = pin!(serving);
        let mut overdue = pin!(activity.idle_for_too_long(Duration::ZERO, timeouts));
        let mut aged = pin!(sleep(self.max_age.mul_f64(rand::rng().random_range(AGE_FACTORS))));
        // The end is announced with the next answer; or by GOAWAY, or by closing.
        let (mut is_leaving, mut is_announced, mut is_shutting_down) = (false, false, false);
        loop {
            let mut next_timeouts =
                IdleTimeouts { first_request: CLOSE_GRACE, next_request: CLOSE_GRACE, headers: CLOSE_GRACE };
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(caller_address = %source, %error, "a connection ended with an error");
                    }
                    return;
                }
                () = activity.shed() => return,
                () = &mut overdue => {
                    if is_announced {
                        return;
                    }
                }
                () = &mut aged, if !is_leaving => {
                    self.aged_connections.inc();
                    is_leaving = true;
                    activity.end_after_next_answer();
                    let grace = AGED_GRACE.min(self.idle_timeout);
                    let until_next = IdleTimeouts { next_request: grace, ..timeouts };
                    overdue.set(activity.idle_for_too_long(grace, until_next));
                    continue;
                }
                () = shutdown.leave.cancelled(), if !is_leaving => {
                    is_leaving = true;
                    activity.end_after_next_answer();
                    continue;
                }
                () = activity.http2_request(), if is_leaving && !is_announced => {
                    // The caller may read its last answer as slowly as any other.
                    next_timeouts.next_request = self.idle_timeout;
                }
                () = shutdown.close.cancelled(), if !is_shutting_down => {
                    is_shutting_down = true;
                    if !activity.had_request() {
                        // Its first request may be in transit, and is still served.
                        is_leaving = true;
                        activity.end_after_next_answer();
                        overdue.set(activity.idle_for_too_long(CLOSE_GRACE, next_timeouts));
                        continue;
                    }
                }
            }
            // GOAWAY tells HTTP/2 callers that requests which they send from now on are not handled. The connection
            // does not wait for the rest of a request, nor for a caller that does not read its answer.
            is_announced = true;
            closing.cancel();
            overdue.set(activity.idle_for_too_long(CLOSE_GRACE, next_timeouts));
        }
    }
}

/// A connection's stream of bytes before HTTP.
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Sets the options of a connection's socket.
fn tune(stream: &TcpStream) {
    // Disables Nagle's algorithm: a small answer must not wait for the acknowledgement of earlier packets.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY is not set");
    }
    // Idle connections live for minutes. Keepalive probes detect callers that have disappeared. They also keep address
    // translators and load balancers from forgetting the connection: some do after 350 s without a packet.
    let keepalive = sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL))
        .and_then(|()| sockopt::set_socket_keepalive(stream, true));
    if let Err(error) = keepalive {
        tracing::debug!(%error, "SO_KEEPALIVE is not set");
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
