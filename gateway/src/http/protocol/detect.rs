//! Tells HTTP/2 from HTTP/1.1 by the first bytes of a connection (RFC 9113, 3.4).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// The first bytes that a caller sends over HTTP/2. No request of HTTP/1.1 begins like this.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Detects the protocol that a caller uses. Also returns the stream from its first byte on. Reads until the bytes
/// differ from the preface, or until the preface is complete.
///
/// # Errors
/// [`io::Error`] of the stream.
pub(super) async fn version<T: AsyncRead + Unpin>(mut stream: T) -> io::Result<(Version, Rewound<T>)> {
    let mut read = BytesMut::with_capacity(HTTP2_PREFACE.len());
    loop {
        if read.len() >= HTTP2_PREFACE.len() {
            let version = if read.starts_with(HTTP2_PREFACE) { Version::Http2 } else { Version::Http1 };
            return Ok((version, Rewound { read, stream }));
        }
        // Also at the end of the stream: hyper then reports what is missing.
        if !HTTP2_PREFACE.starts_with(&read) || stream.read_buf(&mut read).await? == 0 {
            return Ok((Version::Http1, Rewound { read, stream }));
        }
    }
}

/// A stream whose first bytes were read already, and which returns them again.
pub(super) struct Rewound<T> {
    read: BytesMut,
    stream: T,
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..length]);
        self.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewound<T> {
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
        slices: &[IoSlice<'_>],
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
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn the_protocol_is_known_however_its_first_bytes_arrive_and_no_byte_is_lost() {
        let preface = [HTTP2_PREFACE, b"and frames"].concat();
        for (bytes, expected) in [
            (&preface[..], Version::Http2),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Version::Http1),
            (b"PRI * HTTP/1.1\r\nHost: a long name\r\n\r\n", Version::Http1),
            (b"PRI *", Version::Http1),
            (b"", Version::Http1),
        ] {
            for size in [1, 5, 1000] {
                let (mut caller, server) = tokio::io::duplex(64);
                let sent = bytes.to_vec();
                tokio::spawn(async move {
                    for chunk in sent.chunks(size) {
                        caller.write_all(chunk).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                });
                let (version, mut stream) = version(server).await.unwrap();
                let mut read = Vec::new();
                stream.read_to_end(&mut read).await.unwrap();
                assert_eq!((version, &read[..]), (expected, bytes), "{size}");
            }
        }
    }
}
