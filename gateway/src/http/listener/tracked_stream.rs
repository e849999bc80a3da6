//! The bytes of a connection, which report to its activity when a request begins and which version of HTTP it speaks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::ConnectionActivity;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4). No request of HTTP/1.1 does.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection's stream of bytes.
pub(super) struct TrackedStream<S> {
    stream: S,
    activity: Arc<ConnectionActivity>,
    version: Version,
}

/// What the first bytes say about the version.
#[derive(Clone, Copy)]
enum Version {
    /// So many bytes of HTTP/2's preface have arrived.
    Unknown(usize),
    Http1,
    Http2,
}

impl<S> TrackedStream<S> {
    pub(super) fn new(stream: S, activity: Arc<ConnectionActivity>) -> Self {
        Self { stream, activity, version: Version::Unknown(0) }
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Version::Unknown(matched) = self.version {
            let awaited = &HTTP2_PREFACE[matched..];
            let length = awaited.len().min(bytes.len());
            self.version = if awaited[..length] != bytes[..length] {
                Version::Http1
            } else if length == awaited.len() {
                self.activity.note_http2();
                Version::Http2
            } else {
                Version::Unknown(matched + length)
            };
        }
        // Some clients send an empty line after a body, which belongs to no request (RFC 9112, 2.2).
        let is_empty_line = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if !matches!(self.version, Version::Http2) && !is_empty_line {
            self.activity.note_received();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.note(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::io::AsyncReadExt as _;
    use tokio::time::Instant;

    use super::super::activity::IdleTimeouts;
    use super::*;

    /// Whether the connection is found to speak HTTP/2, and after how many seconds it is given up, when these pieces arrive after
    /// its first request.
    async fn after(pieces: &[&[u8]]) -> (bool, u64) {
        let activity = ConnectionActivity::new(Arc::default());
        drop(activity.begin_request());
        let whole = pieces.concat();
        let mut stream = TrackedStream::new(&whole[..], Arc::clone(&activity));
        for piece in pieces {
            stream.read_exact(&mut vec![0; piece.len()]).await.unwrap();
        }
        let started = Instant::now();
        let seconds = Duration::from_secs;
        let timeouts =
            IdleTimeouts { first_request: seconds(5), next_request: seconds(9), headers: seconds(1) };
        activity.idle_for_too_long(Duration::ZERO, timeouts).await;
        (activity.http2_request().now_or_never().is_some(), started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn the_preface_tells_http_2_whose_frames_are_no_headers() {
        for at in 0..=HTTP2_PREFACE.len() {
            let (one, two) = HTTP2_PREFACE.split_at(at);
            assert_eq!(after(&[one, two, b"\0\0\x08\x06\0\0\0\0\0"]).await, (true, 9), "{at}");
        }
        assert_eq!(after(&[&HTTP2_PREFACE[..23]]).await, (false, 1));
        assert_eq!(after(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"]).await, (false, 1));
        assert_eq!(after(&[b"P", b"OST / HTTP/1.1\r\n"]).await, (false, 1));
        assert_eq!(after(&[b"G"]).await, (false, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_line_begins_no_request() {
        assert_eq!(after(&[b"\r\n"]).await, (false, 9));
        assert_eq!(after(&[b"\r\nG"]).await, (false, 1));
        assert_eq!(after(&[]).await, (false, 9));
    }
}
