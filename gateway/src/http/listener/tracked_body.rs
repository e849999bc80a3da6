//! The body of an answer, which reports to the connection's activity when the caller reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::activity::ConnectionActivity;

/// Bytes of a chunk: large enough not to reduce throughput, small enough for a slow reader to take one within the
/// idle timeout.
const CHUNK_BYTES: usize = 64 << 10;

/// An answer's body in chunks. Each chunk that the connection takes shows that the caller is reading.
pub(super) struct TrackedBody {
    body: Body,
    rest: Bytes,
    activity: Arc<ConnectionActivity>,
}

impl TrackedBody {
    pub(super) fn new(body: Body, activity: Arc<ConnectionActivity>) -> Self {
        Self { body, rest: Bytes::new(), activity }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => this.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        this.activity.note_progress();
        let length = this.rest.len().min(CHUNK_BYTES);
        Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = HttpBody::size_hint(&self.body);
        let rest = self.rest.len() as u64;
        // The upper bound first: it may not be below the lower one.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_goes_out_whole_in_chunks_and_says_what_is_left() {
        let whole: Vec<u8> = (0..CHUNK_BYTES * 2 + 7).map(|at| (at / 256) as u8).collect();
        let mut tracked =
            TrackedBody::new(Body::from(whole.clone()), ConnectionActivity::new(Arc::default()));
        let mut collected = Vec::new();
        let mut chunks = 0;
        while let Some(frame) = tracked.frame().await {
            collected.extend_from_slice(&frame.unwrap().into_data().unwrap());
            chunks += 1;
            assert_eq!(HttpBody::size_hint(&tracked).exact(), Some((whole.len() - collected.len()) as u64));
        }
        assert_eq!((chunks, collected == whole, tracked.is_end_stream()), (3, true, true));
    }
}
