//! State that the embedded broker and its streams share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::state::EmbeddedState;

pub(super) struct EmbeddedCore {
    pub(super) state: Mutex<EmbeddedState>,
    /// Wakes all waiting consumers after every change.
    pub(super) changed: Notify,
    pub(super) subscribers: Mutex<Vec<mpsc::Sender<Bytes>>>,
}

impl EmbeddedCore {
    /// Changes the state and wakes all waiting consumers.
    pub(super) fn change<T>(&self, work: impl FnOnce(&mut EmbeddedState, Instant) -> T) -> T {
        let result = self.with_state(work);
        self.changed.notify_waiters();
        result
    }

    /// Works on the state without waking consumers.
    pub(super) fn with_state<T>(&self, work: impl FnOnce(&mut EmbeddedState, Instant) -> T) -> T {
        work(&mut lock(&self.state), Instant::now())
    }
}

/// Ignores poisoning: only code of this module runs under the locks, and it leaves the values consistent if it panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
