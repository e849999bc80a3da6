//! One connection, from its first byte to its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use faceline_shared::shutdown::CancellationToken;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use prometheus::{IntCounter, IntGauge};
use rand::RngExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::idle::{Activity, Patience};
use super::sent::Sent;
use crate::accounts::SourceAddress;
use crate::admission;

/// A connection that is idle for too long, too old, or at a shutdown, is told so, and cut after this.
const FAREWELL: Duration = Duration::from_secs(1);
/// So that connections which were opened together do not end together.
const AGE_SPREAD: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// What all connections of a listener have in common.
#[derive(Clone)]
pub(in crate::http) struct Host {
    pub(in crate::http) builder: Builder<TokioExecutor>,
    pub(in crate::http) router: Router,
    /// Where the listener speaks TLS.
    pub(in crate::http) tls: Option<TlsAcceptor>,
    /// Time for the first sign of life: a handshake, a request's headers.
    pub(in crate::http) first: Duration,
    /// Time that a connection may be idle.
    pub(in crate::http) idle: Duration,
    /// Give or take a tenth.
    pub(in crate::http) age: Duration,
    pub(in crate::http) open: IntGauge,
    pub(in crate::http) aged: IntCounter,
}

impl Host {
    /// Serves a connection until it ends, or `shutdown` lets it.
    pub(in crate::http) async fn serve(
        self,
        stream: TcpStream,
        activity: Arc<Activity>,
        shutdown: CancellationToken,
    ) {
        let _open = Open::new(self.open.clone());
        // Small answers must not wait for the acknowledgement of what went before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        let peer =
            stream.peer_addr().map_or_else(|_| SourceAddress::default(), |address| address.ip().into());
        let Some(tls) = &self.tls else {
            return self.answer(stream, peer, &activity, &shutdown).await;
        };
        let handshake = timeout(self.first, tls.accept(stream));
        let stream = tokio::select! {
            shaken = handshake => shaken,
            () = activity.shed() => return,
            () = shutdown.cancelled() => return,
        };
        match stream {
            Ok(Ok(stream)) => self.answer(stream, peer, &activity, &shutdown).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn answer(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SourceAddress,
        activity: &Arc<Activity>,
        shutdown: &CancellationToken,
    ) {
        let patience = Patience { first: self.first, next: self.idle };
        let parting = Patience { first: FAREWELL, next: FAREWELL };
        let way = Arc::new(admission::ClientConnection::default());
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(way.next_request());
            request.extensions_mut().insert(peer);
            let under_way = activity.begin();
            let answer = self.router.clone().oneshot(request);
            let activity = Arc::clone(activity);
            async move {
                let _under_way = under_way;
                answer.await.map(|response| response.map(|body| Sent::new(body, activity)))
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut overdue = pin!(activity.overdue(Duration::ZERO, patience));
        let mut aged = pin!(sleep(self.age.mul_f64(rand::rng().random_range(AGE_SPREAD))));
        let mut is_told = false;
        let mut is_ending = false;
        loop {
            let mut patience = parting;
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
                }
                () = &mut aged, if !is_told => {
                    self.aged.inc();
                    // An answer may take as long to be read as ever.
                    patience.next = self.idle;
                }
                () = shutdown.cancelled(), if !is_ending => is_ending = true,
            }
            // HTTP/2 callers so learn that what they send now is not looked at. Half a request, or an answer that is not
            // read, are not waited for.
            is_told = true;
            connection.as_mut().graceful_shutdown();
            overdue.set(activity.overdue(FAREWELL, patience));
        }
    }
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
