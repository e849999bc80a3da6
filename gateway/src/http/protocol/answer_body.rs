//! Sends the body of an answer over HTTP/2, as fast as the peer takes it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body_util::BodyExt as _;
use hyper::body::Body;

use super::error::ConnectionError;

/// Sends a whole body and its trailers.
///
/// # Errors
/// [`ConnectionError`] if the body fails, or if the peer or the connection has ended the stream.
pub(super) async fn send<B>(body: B, mut stream: SendStream<Bytes>) -> Result<(), ConnectionError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<ConnectionError>,
{
    let mut body = pin!(body);
    loop {
        let frame = tokio::select! {
            biased;
            reset = poll_fn(|context| stream.poll_reset(context)) => return Err(gone(reset)),
            frame = body.frame() => frame,
        };
        let frame = match frame.transpose() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(stream.send_data(Bytes::new(), true)?),
            Err(error) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Err(error.into());
            }
        };
        match frame.into_data() {
            Ok(data) => {
                let is_last = body.is_end_stream();
                if !data.is_empty() {
                    wait_for_capacity(&mut stream).await?;
                }
                stream.send_data(data, is_last)?;
                if is_last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return Ok(stream.send_trailers(trailers)?);
                }
            }
        }
    }
}

/// Waits until the peer takes at least one byte. h2 buffers the rest of the chunk. Reserving capacity for the whole
/// chunk would hold a part of the connection's window that other streams could use.
async fn wait_for_capacity(stream: &mut SendStream<Bytes>) -> Result<(), ConnectionError> {
    stream.reserve_capacity(1);
    poll_fn(|context| {
        if let Poll::Ready(reset) = stream.poll_reset(context) {
            return Poll::Ready(Err(gone(reset)));
        }
        while stream.capacity() == 0 {
            match ready!(stream.poll_capacity(context)) {
                Some(granted) => granted?,
                None => return Poll::Ready(Err("the stream has ended".into())),
            };
        }
        Poll::Ready(Ok(()))
    })
    .await
}

fn gone(reset: Result<Reason, h2::Error>) -> ConnectionError {
    reset.map_or_else(Into::into, |reason| h2::Error::from(reason).into())
}
