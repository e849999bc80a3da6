//! HTTP/1.1 and HTTP/2 on one connection: reading requests from it and writing answers to it.
//!
//! `detect` distinguishes the two protocols by their first bytes. hyper serves HTTP/1.1. `http2` serves HTTP/2 with the
//! crate h2, on which hyper's server is built, too: hyper neither answers `Expect: 100-continue` over HTTP/2 nor
//! reports which stream a request belongs to. `exchange` is one request of HTTP/2 with its answer, `answer_body` sends
//! the answer's body. `request_body` is the body of a request in both protocols, and `drain` reads the rest of a body
//! that a handler did not read.

mod answer_body;
mod detect;
mod drain;
mod error;
mod exchange;
mod http2;
mod request_body;

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use faceline_shared::settings::HttpSettings;
use faceline_shared::shutdown::CancellationToken;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use self::detect::Version;
use self::drain::{DrainedBody, Drains};
use self::error::ConnectionError;
use self::http2::Http2;
use self::request_body::Http1Body;

/// The smallest buffer that hyper accepts, in bytes.
const MIN_BUFFER_BYTES: usize = 8 << 10;
/// Maximum number of header fields of a request.
const MAX_HEADERS: usize = 100;

/// Events that the owner of a connection receives while the connection is served.
pub(super) trait ConnectionEvents {
    /// A guard that is held while a body over HTTP/1.1 is read, by its handler or a drain.
    type BodyGuard: Send + Unpin + 'static;

    /// The connection uses HTTP/2.
    fn note_http2(&self);

    /// The body of a request over HTTP/1.1 begins.
    fn begin_body(&self) -> Self::BodyGuard;
}

/// Both protocols with their limits.
#[derive(Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: Http2,
    drains: Drains,
}

impl Protocols {
    /// The protocols with the limits of the settings.
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // hyper's time for headers starts when the connection becomes idle. The listener has a time of its own,
            // which starts with their first byte.
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            // All headers of a request must fit into the buffer.
            .max_buf_size(settings.max_header_bytes.max(MIN_BUFFER_BYTES));
        Self { http1, http2: Http2::new(settings), drains: Drains::default() }
    }

    /// Serves a connection until it ends. After `closing` it takes no more requests, and ends when those in progress
    /// are answered.
    ///
    /// # Errors
    /// [`ConnectionError`] of the protocol, or of the stream.
    pub(super) async fn serve<T, S, F, B, E>(
        &self,
        stream: T,
        service: S,
        events: &E,
        closing: &CancellationToken,
    ) -> Result<(), ConnectionError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Fn(Request<Body>) -> F,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<ConnectionError>,
        E: ConnectionEvents,
    {
        let detected = closing.run_until_cancelled(detect::version(stream)).await;
        let Some((version, stream)) = detected.transpose()? else { return Ok(()) };
        let drains = self.drains.of_connection();
        match version {
            Version::Http1 => {
                let service = service_fn(|request: Request<Incoming>| {
                    let request = Http1Body::wrap(request, events.begin_body());
                    service(request.map(|body| Body::new(DrainedBody::new(body, drains.clone()))))
                });
                let mut connection =
                    std::pin::pin!(self.http1.serve_connection(TokioIo::new(stream), service));
                if let Some(ended) = closing.run_until_cancelled(connection.as_mut()).await {
                    return Ok(ended?);
                }
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
            Version::Http2 => {
                events.note_http2();
                Ok(self.http2.serve(stream, service, drains, closing).await?)
            }
        }
    }
}
