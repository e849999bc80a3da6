//! The byte stream of a connection, which reports to the connection's activity when a request begins.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::ConnectionActivity;

/// A connection's stream of bytes.
pub(super) struct TrackedStream<S> {
    stream: S,
    activity: Arc<ConnectionActivity>,
}

impl<S> TrackedStream<S> {
    pub(super) fn new(stream: S, activity: Arc<ConnectionActivity>) -> Self {
        Self { stream, activity }
    }

    fn note(&self, bytes: &[u8]) {
        // Some clients send an empty line after a body, which belongs to no request (RFC 9112, 2.2).
        let is_empty_line = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if !is_empty_line {
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

    use tokio::io::AsyncReadExt as _;
    use tokio::time::Instant;

    use super::super::activity::IdleTimeouts;
    use super::*;

    /// Returns the seconds after which a connection is closed, if these pieces arrive after its first request.
    async fn given_up_after(pieces: &[&[u8]]) -> u64 {
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
        started.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_begins_a_request_and_an_empty_line_does_not() {
        assert_eq!(given_up_after(&[b"G"]).await, 1);
        assert_eq!(given_up_after(&[b"P", b"OST / HTTP/1.1\r\n"]).await, 1);
        assert_eq!(given_up_after(&[b"\r\n"]).await, 9);
        assert_eq!(given_up_after(&[b"\r\nG"]).await, 1);
        assert_eq!(given_up_after(&[]).await, 9);
    }
}
