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
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::drain::ConnectionDrains;
use super::error::ConnectionError;
use super::exchange;

/// Interval between two PINGs. A connection is closed if its peer neither answers nor sends anything within this time.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Maximum number of requests that a caller reset before they were accepted. More of them close the connection ("rapid
/// reset", CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Maximum number of requests that this side reset because of protocol errors. More of them close the connection.
const MAX_ERROR_RESETS: usize = 100;
/// Maximum bytes of an answer that are buffered while its caller does not read.
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
        // It holds one answer of each open stream at most.
        let (answered, mut answers) = mpsc::unbounded_channel();
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
                    let handling = exchange::handle(service(request), respond, invitation);
                    let answered = answered.clone();
                    tokio::spawn(async move {
                        if let Some(answer) = handling.await {
                            // Fails when the connection has ended, and nobody is left to answer.
                            let _ = answered.send(answer);
                        }
                    });
                }
                Some(answer) = answers.recv() => {
                    answer.send();
                    // Those that are ready, too, leave with the same write.
                    while let Ok(answer) = answers.try_recv() {
                        answer.send();
                    }
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

/// Resolves when the peer no longer answers.
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
                    // The answer may be queued behind a long body on a slow line.
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

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::{Mutex, mpsc as blocking_channel};
    use std::task::{Context, Poll};

    use futures_util::stream;
    use http::header::CONTENT_LENGTH;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tokio::task::block_in_place;

    use super::super::drain::Drains;
    use super::*;

    /// Time in which headers that are sent ahead of their body reach the caller.
    const HEADERS_TIME: Duration = Duration::from_millis(300);

    /// A body that tells whether its caller had the headers before the connection got the body.
    struct LateBody {
        caller_has_headers: blocking_channel::Receiver<()>,
        is_read: bool,
    }

    impl HttpBody for LateBody {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if std::mem::replace(&mut self.is_read, true) {
                return Poll::Ready(None);
            }
            // In place, so that another thread runs the connection's task meanwhile if it can.
            let headers_came_first =
                block_in_place(|| self.caller_has_headers.recv_timeout(HEADERS_TIME).is_ok());
            let text = if headers_came_first { "after the headers" } else { "with the headers" };
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_caller_that_ends_its_body_early_reads_the_whole_answer() {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (headers_read, caller_has_headers) = blocking_channel::channel();
        let body = Mutex::new(Some(LateBody { caller_has_headers, is_read: false }));
        let service = move |request: Request<Body>| {
            let body = body.lock().unwrap().take().unwrap();
            async move {
                drop(request);
                Ok(Response::new(body))
            }
        };
        tokio::spawn(async move {
            let drains = Drains::default().of_connection();
            Http2::new(&HttpSettings::default()).serve(far, service, drains, &CancellationToken::new()).await
        });
        let (mut requests, connection) = h2::client::handshake(near).await.unwrap();
        tokio::spawn(connection);

        let request = Request::post("http://localhost/").header(CONTENT_LENGTH, 10).body(()).unwrap();
        let (answer, mut upload) = requests.send_request(request, false).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        // As curl does when it reads a refusal. h2 resets such a stream, because the body is shorter than announced.
        upload.send_data(Bytes::new(), true).unwrap();
        let _ = headers_read.send(());
        let mut read = Vec::new();
        while let Some(chunk) = answer.data().await {
            read.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(String::from_utf8_lossy(&read), "with the headers");
    }

    #[tokio::test]
    async fn a_long_answer_leaves_the_connection_to_others() {
        let (near, far) = tokio::io::duplex(64 << 10);
        let service = |request: Request<Body>| async move {
            let (chunks, length) = if request.uri().path() == "/long" { (16, 64 << 10) } else { (1, 1) };
            let chunk = move |_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; length])));
            Ok(Response::new(StreamBody::new(stream::iter((0..chunks).map(chunk)))))
        };
        tokio::spawn(async move {
            let drains = Drains::default().of_connection();
            Http2::new(&HttpSettings::default()).serve(far, service, drains, &CancellationToken::new()).await
        });
        let mut client = h2::client::Builder::new();
        client.initial_connection_window_size(2 << 20);
        let (mut requests, connection) = client.handshake::<_, Bytes>(near).await.unwrap();
        tokio::spawn(connection);
        let mut ask = |path: &str| {
            let request = Request::get(format!("http://localhost{path}")).body(()).unwrap();
            requests.send_request(request, true).unwrap().0
        };

        let mut long = ask("/long").await.unwrap().into_body();
        let mut short = ask("/short").await.unwrap().into_body();
        assert_eq!(short.data().await.unwrap().unwrap().len(), 1);
        // 64 KiB of it are sent before its caller reads; a task of its own sends the rest.
        let mut read = 0;
        while let Some(chunk) = long.data().await {
            let chunk = chunk.unwrap();
            read += chunk.len();
            long.flow_control().release_capacity(chunk.len()).unwrap();
        }
        assert_eq!(read, 1 << 20);
    }
}
