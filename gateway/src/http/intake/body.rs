//! A body that cannot be too long, too slow, or larger than there is room for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::fault::Fault;
use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use hyper::body::Body as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::receive::STEP;
use crate::admission::InFlightPermit;

/// A body that comes more slowly than this, in bytes a second, over its whole length is given up: single bytes,
/// each just in time, would hold their room for hours.
const SLOWEST: u32 = 4 << 10;

/// A request's body under its bounds.
pub(in crate::http) struct BoundedBody<'t> {
    body: Body,
    ticket: &'t mut InFlightPermit,
    limit: usize,
    /// Bytes of memory for so many that were received.
    room: fn(usize) -> usize,
    received: usize,
    started: Instant,
    patience: Duration,
    give_up: Pin<Box<Sleep>>,
}

impl<'t> BoundedBody<'t> {
    /// Bounds `body` to `limit` bytes; it may rest for `patience`, and takes room of `ticket` as it grows.
    pub(in crate::http) fn new(
        body: Body,
        limit: usize,
        patience: Duration,
        ticket: &'t mut InFlightPermit,
    ) -> Self {
        let started = Instant::now();
        Self {
            body,
            ticket,
            limit,
            room: |bytes| bytes,
            received: 0,
            started,
            patience,
            give_up: Box::pin(sleep_until(started + patience)),
        }
    }

    /// With `room` for as many bytes as are received.
    pub(in crate::http) fn taking(self, room: fn(usize) -> usize) -> Self {
        Self { room, ..self }
    }

    /// The body, with what was not read of it.
    pub(in crate::http) fn into_inner(self) -> Body {
        self.body
    }

    fn take_in(&mut self, length: usize) -> Result<(), Fault> {
        self.received += length;
        if self.received > self.limit {
            return Err(Fault::TooLarge { limit: self.limit, place: String::new() });
        }
        let missing = (self.room)(self.received).saturating_sub(self.ticket.bytes());
        if missing > 0 {
            let room_left = (self.room)(self.limit) - self.ticket.bytes();
            self.ticket.grow(missing.next_multiple_of(STEP).min(room_left))?;
        }
        let since_start = self.patience + Duration::from_secs(self.received as u64) / SLOWEST;
        let give_up = (Instant::now() + self.patience).min(self.started + since_start);
        self.give_up.as_mut().reset(give_up);
        Ok(())
    }
}

impl Stream for BoundedBody<'_> {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // Asked first: a caller that keeps single bytes ready all the time is late, too.
        if this.give_up.as_mut().poll(context).is_ready() {
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
            // Trailers say nothing here.
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(this.take_in(data.len()).map(|()| data)));
            }
        }
    }
}
