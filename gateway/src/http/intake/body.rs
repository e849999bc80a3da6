//! A request's body under bounds: it cannot be too long, arrive too slowly, or grow beyond the memory that is left.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use hyper::body::Body as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::admit::BodyBounds;
use super::limits::ADMISSION_STEP_BYTES;
use crate::admission::InFlightPermit;
use crate::fault::Fault;

/// The average rate, in bytes a second, below which the gateway refuses a body. Without it a caller that sends single
/// bytes, each just within the timeout, would hold its memory for hours.
const MIN_BYTES_PER_SECOND: u32 = 4 << 10;

/// A request's body, and the bounds that end it early.
pub(super) struct BoundedBody<'t> {
    body: Body,
    permit: &'t mut InFlightPermit,
    bounds: BodyBounds,
    received: usize,
    started: Instant,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl<'t> BoundedBody<'t> {
    /// Bounds `body`, which may pause for at most `timeout`. `permit` admits memory as the body grows.
    pub(super) fn new(
        body: Body,
        bounds: BodyBounds,
        timeout: Duration,
        permit: &'t mut InFlightPermit,
    ) -> Self {
        let started = Instant::now();
        let deadline = Box::pin(sleep_until(started + timeout));
        Self { body, permit, bounds, received: 0, started, timeout, deadline }
    }

    /// Accounts for `length` more bytes.
    fn count(&mut self, length: usize) -> Result<(), Fault> {
        let BodyBounds { max_bytes, memory } = self.bounds;
        self.received += length;
        if self.received > max_bytes {
            return Err(Fault::TooLarge { limit: max_bytes, place: String::new() });
        }
        let missing = memory(self.received).saturating_sub(self.permit.bytes());
        if missing > 0 {
            let at_most = memory(max_bytes) - self.permit.bytes();
            self.permit.grow(missing.next_multiple_of(ADMISSION_STEP_BYTES).min(at_most))?;
        }
        let since_start = self.timeout + Duration::from_secs(self.received as u64) / MIN_BYTES_PER_SECOND;
        let deadline = (Instant::now() + self.timeout).min(self.started + since_start);
        self.deadline.as_mut().reset(deadline);
        Ok(())
    }
}

impl Stream for BoundedBody<'_> {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // Checked before the body: a caller that has a single byte ready at every poll is too slow, too.
        if this.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Fault::SlowBody)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    tracing::debug!(%error, "a body broke off");
                    return Poll::Ready(Some(Err(Fault::Invalid("the body broke off".into()))));
                }
            };
            // Trailers of a request are ignored.
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(this.count(data.len()).map(|()| data)));
            }
        }
    }
}
