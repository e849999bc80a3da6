//! The body of a request, which reports to the connection's activity when it is no longer read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::activity::BodyGuard;

/// A request's body. While it exists, bytes that arrive are not taken for the headers of the next request.
pub(super) struct RequestBody {
    body: Incoming,
    _in_progress: BodyGuard,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, in_progress: BodyGuard) -> Self {
        Self { body, _in_progress: in_progress }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
