//! Notifies the workers of the replays' lanes of new rows, so the rows do not wait for the next poll.

use std::sync::Arc;

use tokio::sync::Notify;

/// Signals that rows are due, one for each lane of the replays.
#[derive(Debug, Default)]
pub(super) struct DueSignals {
    /// A row of replays is due.
    pub(super) work: Arc<Notify>,
    /// A callback is due.
    pub(super) callbacks: Arc<Notify>,
}

impl DueSignals {
    /// Notifies the workers of all lanes that rows may be due.
    pub(super) fn note_all(&self) {
        self.work.notify_one();
        self.callbacks.notify_one();
    }
}
