//! Reads and discards the rest of a body that its handler did not read.
//!
//! Many callers look for an answer only when they have sent everything. Over HTTP/1.1 a server that closes a
//! connection with unread bytes makes the caller's system discard the answer. Over HTTP/2 most clients that receive a
//! reset directly after the answer report the reset and discard the answer. So the gateway reads the rest of a body
//! for a limited time in all cases: after a refusal on the headers, after a handler that stopped early, and after one
//! that expects no body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::consume_budget;
use tokio::time::timeout;

use super::request_body::RequestBody;

/// Maximum bytes that are discarded of one body: enough for uploads far above the limit. [`MAX_TIME`] bounds the cost.
const MAX_BYTES: usize = 128 << 20;
/// Time without a byte after which the gateway stops reading a body.
const MAX_SILENCE: Duration = Duration::from_secs(1);
/// Time after which the gateway stops reading a body that still arrives. It suffices for some megabytes over a slow
/// line.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Maximum number of bodies that are drained at the same time, over all connections. Further ones are not drained.
const MAX_DRAINS: usize = 4096;
/// The same for one connection, so no caller takes all permits.
const MAX_DRAINS_OF_CONNECTION: usize = 128;

/// The permits to drain bodies, of a whole listener.
#[derive(Clone)]
pub(super) struct Drains(Arc<Semaphore>);

impl Default for Drains {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_DRAINS)))
    }
}

impl Drains {
    /// The permits that one connection may take.
    pub(super) fn of_connection(&self) -> ConnectionDrains {
        ConnectionDrains { all: Arc::clone(&self.0), own: Arc::new(Semaphore::new(MAX_DRAINS_OF_CONNECTION)) }
    }
}

/// The permits to drain bodies, of one connection.
#[derive(Clone)]
pub(super) struct ConnectionDrains {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

impl ConnectionDrains {
    /// Takes the permits to drain one body, which are held until they are dropped; `None` if there are none left.
    fn take(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = Arc::clone(&self.own).try_acquire_owned().ok()?;
        Some([own, Arc::clone(&self.all).try_acquire_owned().ok()?])
    }
}

/// A body whose rest is drained when its handler drops it.
pub(super) struct DrainedBody<B: RequestBody> {
    /// `None` once the body has ended.
    body: Option<B>,
    drains: ConnectionDrains,
}

impl<B: RequestBody> DrainedBody<B> {
    pub(super) fn new(body: B, drains: ConnectionDrains) -> Self {
        Self { body: Some(body), drains }
    }
}

impl<B: RequestBody> Body for DrainedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: RequestBody> Drop for DrainedBody<B> {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        // Reading would send `100 Continue` to a caller that waits for it: it would then send a body that nobody reads.
        if body.is_end_stream() || !body.prepare_discard() {
            return;
        }
        let Some(place) = self.drains.take() else {
            tracing::debug!("the rest of a body is not read: too many are");
            return;
        };
        // There is no runtime only when the program ends. Nobody waits for an answer then.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _place = place;
                let _ = timeout(MAX_TIME, discard(body)).await;
            });
        }
    }
}

async fn discard<B: RequestBody>(mut body: B) {
    let mut discarded = 0;
    while discarded < MAX_BYTES {
        let Ok(Some(Ok(frame))) = timeout(MAX_SILENCE, body.frame()).await else { return };
        discarded += frame.data_ref().map_or(0, Bytes::len);
        drop(frame);
        // A body whose next bytes are always available must not block the other requests of this thread.
        consume_budget().await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// A body that takes `pause` for each of its chunks, and signals when it is dropped.
    struct Chunks {
        left: usize,
        bytes: usize,
        pause: Duration,
        next: Option<Pin<Box<tokio::time::Sleep>>>,
        may_be_read: bool,
        _dropped: tokio::sync::oneshot::Sender<()>,
    }

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            let pause = self.pause;
            let next = self.next.get_or_insert_with(|| Box::pin(sleep(pause)));
            std::task::ready!(next.as_mut().poll(context));
            self.next = None;
            self.left -= 1;
            Poll::Ready(Some(Ok(Frame::data(vec![0; self.bytes].into()))))
        }
    }

    impl RequestBody for Chunks {
        fn prepare_discard(&mut self) -> bool {
            self.may_be_read
        }
    }

    /// Returns the milliseconds from the time when the handler drops a body until the body itself is dropped.
    async fn kept(
        left: usize,
        bytes: usize,
        pause: u64,
        may_be_read: bool,
        drains: &ConnectionDrains,
    ) -> u128 {
        let (_dropped, dropped) = tokio::sync::oneshot::channel();
        let pause = Duration::from_millis(pause);
        let body = Chunks { left, bytes, pause, next: None, may_be_read, _dropped };
        let started = Instant::now();
        drop(DrainedBody::new(body, drains.clone()));
        let _ = dropped.await;
        started.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_drained_to_its_end_or_to_a_bound() {
        let drains = Drains::default().of_connection();
        assert_eq!(kept(3, 1000, 500, true, &drains).await, 1500, "to its end");
        assert_eq!(kept(3, 1000, 1500, true, &drains).await, 1000, "silence");
        assert_eq!(kept(usize::MAX, 1, 800, true, &drains).await, 10_000, "time");
        assert_eq!(kept(usize::MAX, MAX_BYTES / 4, 10, true, &drains).await, 40, "bytes");
        assert_eq!(kept(3, 1000, 500, false, &drains).await, 0, "it would be invited");
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_does_not_take_all_places_nor_all_connections_more_than_there_are() {
        let drains = Drains::default();
        let connection = drains.of_connection();
        let taken: Vec<_> = std::iter::from_fn(|| connection.take()).collect();
        assert_eq!(taken.len(), MAX_DRAINS_OF_CONNECTION);
        assert_eq!(kept(3, 1000, 500, true, &connection).await, 0);
        assert_eq!(kept(3, 1000, 500, true, &drains.of_connection()).await, 1500);
        let others: Vec<_> = std::iter::repeat_with(|| drains.of_connection())
            .flat_map(|connection| std::iter::from_fn(move || connection.take()))
            .take(MAX_DRAINS - MAX_DRAINS_OF_CONNECTION)
            .collect();
        assert!(drains.of_connection().take().is_none());
        drop(others);
        drop(taken);
        assert_eq!(kept(3, 1000, 500, true, &connection).await, 1500);
    }
}
