//! A connection over HTTP/2.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use faceline_shared::settings::HttpSettings;
use faceline_shared::shutdown::CancellationToken;
use h2::server::Builder;
use h2::{Ping, PingPong};
use http::{Request, Response};
use hyper::body::Body as HttpBody;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use super::drain::ConnectionDrains;
use super::error::ConnectionError;
use super::exchange;

/// A peer is sent a PING so often, and is given up if it neither answers nor sends anything within the same time.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Requests that a caller reset before they were accepted: more close the connection ("rapid reset", CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Requests that this side reset because of protocol errors: more close the connection.
const MAX_ERROR_RESETS: usize = 100;
/// Bytes of an answer that are buffered while its caller does not read.
const MAX_SEND_BUFFER_BYTES: usize = 64 << 10;
/// Bytes that a caller may send, on one stream and on all of a connection, before they are read.
const RECEIVE_WINDOW_BYTES: u32 = 1 << 20;

/// HTTP/2 with its limits.
#[derive(Clone)]
pub(super) struct Http2(Builder);

impl Http2 {
    /// HTTP/2 with the limits of the settings.
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let mut builder = Builder::new();
        builder
            .initial_window_size(RECEIVE_WINDOW_BYTES)
            .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
            .max_concurrent_streams(settings.max_streams)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
            .max_send_buffer_size(MAX_SEND_BUFFER_BYTES)
            .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX));
        Self(builder)
    }

    /// Serves a connection until it ends. After `closing` it takes no more requests (GOAWAY), and ends when those in
    /// progress are answered.
    ///
    /// # Errors
    /// [`ConnectionError`] of the protocol, or of the stream.
    pub(super) async fn serve<T, S, F, B>(
        &self,
        stream: T,
        service: S,
        drains: ConnectionDrains,
        closing: &CancellationToken,
    ) -> Result<(), ConnectionError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        S: Fn(Request<Body>) -> F,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<ConnectionError>,
    {
        let mut connection = self.0.handshake::<T, Bytes>(stream).await?;
        let received_since_ping = Arc::new(AtomicBool::new(false));
        let mut timed_out = pin!(peer_timed_out(connection.ping_pong(), Arc::clone(&received_since_ping)));
        let mut is_closing = false;
        loop {
            tokio::select! {
                accepted = connection.accept() => {
                    let Some(accepted) = accepted else { return Ok(()) };
                    let (request, respond) = accepted?;
                    let (request, invitation) = exchange::receive(request, &drains, &received_since_ping);
                    tokio::spawn(exchange::answer(service(request), respond, invitation));
                }
                () = closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    connection.graceful_shutdown();
                }
                () = &mut timed_out => return Err("the peer does not answer".into()),
            }
        }
    }
}

/// Resolves when the peer does not answer any more.
async fn peer_timed_out(pings: Option<PingPong>, received_since_ping: Arc<AtomicBool>) {
    if let Some(mut pings) = pings {
        loop {
            sleep(PING_INTERVAL).await;
            if pings.send_ping(Ping::opaque()).is_err() {
                break;
            }
            received_since_ping.store(false, Ordering::Relaxed);
            let answered = loop {
                match timeout(PING_INTERVAL, poll_fn(|context| pings.poll_pong(context))).await {
                    Ok(answered) => break answered,
                    // The answer is behind a long body on a slow line.
                    Err(_) if received_since_ping.swap(false, Ordering::Relaxed) => (),
                    Err(_) => return,
                }
            };
            if answered.is_err() {
                break;
            }
        }
    }
    // The connection itself reports its end.
    std::future::pending::<()>().await;
}
