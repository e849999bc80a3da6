//! The body of an answer on its way out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::idle::Activity;

/// Large enough to cost nothing, small enough that a slow reader is seen to read.
const PIECE: usize = 64 << 10;

/// An answer's body, in pieces, each of which is a sign that its caller reads.
pub(in crate::http) struct Sent {
    body: Body,
    rest: Bytes,
    activity: Arc<Activity>,
}

impl Sent {
    pub(in crate::http) fn new(body: Body, activity: Arc<Activity>) -> Self {
        Self { body, rest: Bytes::new(), activity }
    }
}

impl HttpBody for Sent {
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
        this.activity.progress();
        let length = this.rest.len().min(PIECE);
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
    async fn a_body_goes_out_whole_in_pieces_and_says_what_is_left() {
        let whole: Vec<u8> = (0..PIECE * 2 + 7).map(|at| (at / 256) as u8).collect();
        let mut sent = Sent::new(Body::from(whole.clone()), Activity::new(Arc::default()));
        let mut collected = Vec::new();
        let mut pieces = 0;
        while let Some(frame) = sent.frame().await {
            collected.extend_from_slice(&frame.unwrap().into_data().unwrap());
            pieces += 1;
            assert_eq!(HttpBody::size_hint(&sent).exact(), Some((whole.len() - collected.len()) as u64));
        }
        assert_eq!((pieces, collected == whole, sent.is_end_stream()), (3, true, true));
    }
}
