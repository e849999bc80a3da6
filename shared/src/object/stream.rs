//! An object that is read piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};

use super::error::ObjectError;

/// The bytes of one object, in pieces of bounded size. All pieces are of the same object, even if it is replaced
/// meanwhile. The stream ends after [`ObjectStream::length`] bytes, or with an error.
pub struct ObjectStream {
    length: u64,
    left: u64,
    /// `None` after the end or an error.
    pieces: Option<BoxStream<'static, Result<Bytes, ObjectError>>>,
}

impl ObjectStream {
    /// A stream of an object of `length` bytes.
    #[must_use]
    pub fn new(length: u64, pieces: impl Stream<Item = Result<Bytes, ObjectError>> + Send + 'static) -> Self {
        Self { length, left: length, pieces: Some(pieces.boxed()) }
    }

    /// Bytes of the whole object.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Stream for ObjectStream {
    type Item = Result<Bytes, ObjectError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        let Some(pieces) = &mut stream.pieces else { return Poll::Ready(None) };
        let item = match ready!(pieces.poll_next_unpin(context)) {
            Some(Ok(piece)) => match stream.left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    stream.left = left;
                    return Poll::Ready(Some(Ok(piece)));
                }
                None => {
                    Some(Err(ObjectError::Unreachable("the object is longer than the store said".into())))
                }
            },
            Some(Err(error)) => Some(Err(error)),
            None if stream.left > 0 => {
                Some(Err(ObjectError::Unreachable("the object is shorter than the store said".into())))
            }
            None => None,
        };
        stream.pieces = None;
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// The pieces that arrive before the end, and whether the end is an error.
    async fn read(length: u64, pieces: &'static [&'static [u8]]) -> (Vec<Bytes>, bool) {
        let pieces = stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece))));
        let mut stream = ObjectStream::new(length, pieces);
        assert_eq!(stream.length(), length);
        let mut arrived = Vec::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => arrived.push(piece),
                Err(_) => {
                    assert!(stream.next().await.is_none());
                    return (arrived, true);
                }
            }
        }
        (arrived, false)
    }

    #[tokio::test]
    async fn a_stream_ends_after_its_length_or_with_an_error() {
        assert_eq!(read(0, &[]).await, (vec![], false));
        assert_eq!(read(3, &[b"ab", b"c"]).await, (vec!["ab".into(), "c".into()], false));
        assert_eq!(read(4, &[b"ab", b"c"]).await, (vec!["ab".into(), "c".into()], true));
        assert_eq!(read(2, &[b"ab", b"c"]).await, (vec!["ab".into()], true));
    }
}
