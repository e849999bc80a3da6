//! Whether a worker can do jobs: the number of inference threads whose sessions are usable.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts the inference threads whose sessions are usable.
#[derive(Clone, Debug)]
pub(super) struct UsableSessions(Arc<watch::Sender<usize>>);

impl UsableSessions {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(watch::Sender::new(count)))
    }

    pub(super) fn add(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub(super) fn remove(&self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }

    pub(super) fn is_empty(&self) -> bool {
        *self.0.borrow() == 0
    }

    pub(super) fn availability(&self) -> Availability {
        Availability(self.0.subscribe())
    }
}

/// Tells whether a handler can do jobs: it can while at least one session is usable.
#[derive(Clone, Debug)]
pub struct Availability(watch::Receiver<usize>);

impl Availability {
    /// The availability of a handler that can always do jobs.
    #[must_use]
    pub fn always() -> Self {
        Self(watch::Sender::new(1).subscribe())
    }

    /// The availability of a handler with this number of usable sessions.
    #[cfg(test)]
    pub(super) fn of(usable: watch::Receiver<usize>) -> Self {
        Self(usable)
    }

    /// Whether jobs can be done.
    #[must_use]
    pub fn is_available(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until [`Self::is_available`] equals `available`.
    pub async fn until(&mut self, available: bool) {
        if self.0.wait_for(|count| (*count > 0) == available).await.is_err() {
            // The handler is gone, and its last state never changes.
            std::future::pending::<()>().await;
        }
    }
}
