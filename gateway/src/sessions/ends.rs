//! Notifies the requests that work on a session when the session ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The sessions on which requests of this gateway work.
#[derive(Default)]
pub(super) struct SessionEnds {
    watched: Mutex<HashMap<Uuid, WatchedSession>>,
}

struct WatchedSession {
    watchers: usize,
    ended: CancellationToken,
}

impl SessionEnds {
    /// Watches for the end of a session until the watch is dropped.
    pub(super) fn watch(self: &Arc<Self>, session: Uuid) -> EndWatch {
        let mut watched = self.lock();
        let entry = watched
            .entry(session)
            .or_insert_with(|| WatchedSession { watchers: 0, ended: CancellationToken::new() });
        entry.watchers += 1;
        EndWatch { ended: entry.ended.clone(), ends: Arc::clone(self), session }
    }

    /// Wakes all watches of the session.
    pub(super) fn end(&self, session: Uuid) {
        if let Some(watched) = self.lock().get(&session) {
            watched.ended.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, WatchedSession>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch for the end of one session.
pub(super) struct EndWatch {
    ends: Arc<SessionEnds>,
    session: Uuid,
    ended: CancellationToken,
}

impl EndWatch {
    /// Waits until the session ends.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        let mut watched = self.ends.lock();
        if let Some(entry) = watched.get_mut(&self.session) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                watched.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn those_who_watch_hear_it_and_others_do_not() {
        let ends = Arc::new(SessionEnds::default());
        let session = Uuid::new_v4();
        let (one, two, other) = (ends.watch(session), ends.watch(session), ends.watch(Uuid::new_v4()));
        assert!(one.ended().now_or_never().is_none());
        ends.end(session);
        assert!(one.ended().now_or_never().is_some());
        assert!(two.ended().now_or_never().is_some());
        assert!(other.ended().now_or_never().is_none());
    }

    #[test]
    fn nothing_is_left_of_a_watch_that_is_over() {
        let ends = Arc::new(SessionEnds::default());
        let session = Uuid::new_v4();
        let (one, two) = (ends.watch(session), ends.watch(session));
        drop(one);
        ends.end(session);
        assert!(two.ended().now_or_never().is_some());
        drop(two);
        assert!(ends.lock().is_empty());
    }
}
