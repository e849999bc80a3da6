//! The body of a request as the connection delivers it, over HTTP/1.1 and HTTP/2.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::Error;
use bytes::Bytes;
use h2::RecvStream;
use http::header::EXPECT;
use http::{HeaderMap, Request};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

/// A body that can also be read only to discard it.
pub(super) trait RequestBody: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static {
    /// Prepares the body to be read without sending `100 Continue` to the caller. Returns `false` where that is not
    /// possible.
    fn prepare_discard(&mut self) -> bool;
}

/// Whether the caller waits for `100 Continue` before it sends its body.
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A body over HTTP/1.1.
pub(super) struct Http1Body<G> {
    body: Incoming,
    /// Held while the body is being read.
    _reading: G,
    /// Whether the first attempt to read makes hyper send `100 Continue`.
    invites: bool,
}

impl<G> Http1Body<G> {
    pub(super) fn wrap(request: Request<Incoming>, reading: G) -> Request<Self> {
        let invites = expects_continue(request.headers());
        request.map(|body| Self { body, _reading: reading, invites })
    }
}

impl<G: Unpin> Body for Http1Body<G> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.invites = false;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<G: Send + Unpin + 'static> RequestBody for Http1Body<G> {
    fn prepare_discard(&mut self) -> bool {
        !self.invites
    }
}

/// A body over HTTP/2.
pub(super) struct Http2Body {
    stream: RecvStream,
    /// Causes `100 Continue` to be sent, once, if the caller waits for it.
    invitation: Option<oneshot::Sender<()>>,
    length: Option<u64>,
    data_ended: bool,
    /// Set when bytes arrive, since the peer is alive then.
    received_since_ping: Arc<AtomicBool>,
}

impl Http2Body {
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        invitation: Option<oneshot::Sender<()>>,
        received_since_ping: Arc<AtomicBool>,
    ) -> Self {
        Self { stream, invitation, length, data_ended: false, received_since_ping }
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(invitation) = self.invitation.take() {
            // Without a receiver the answer is already being sent, and the caller needs no `100 Continue`.
            let _ = invitation.send(());
        }
        if !self.data_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(bytes)) => {
                    self.received_since_ping.store(true, Ordering::Relaxed);
                    self.length = self.length.map(|length| length.saturating_sub(bytes.len() as u64));
                    // Fails only for a stream that has ended.
                    let _ = self.stream.flow_control().release_capacity(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                // The peer needs nothing more of this request; it is not an error.
                Some(Err(error)) if error.reason() == Some(h2::Reason::NO_ERROR) => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::new(error)))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(context)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(Error::new(error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl RequestBody for Http2Body {
    fn prepare_discard(&mut self) -> bool {
        self.invitation = None;
        true
    }
}
