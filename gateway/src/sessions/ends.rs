//! Who is at work on a session hears of its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Sessions that requests of this gateway are at work on.
#[derive(Default)]
pub(super) struct Ends {
    watched: Mutex<HashMap<Uuid, Watched>>,
}

struct Watched {
    watchers: usize,
    ended: CancellationToken,
}

impl Ends {
    /// Watches a session until the watch is dropped.
    pub(super) fn watch(self: &Arc<Self>, session: Uuid) -> Watch {
        let mut watched = self.lock();
        let entry = watched
            .entry(session)
            .or_insert_with(|| Watched { watchers: 0, ended: CancellationToken::new() });
        entry.watchers += 1;
        Watch { ended: entry.ended.clone(), ends: Arc::clone(self), session }
    }

    /// Tells those who watch the session.
    pub(super) fn end(&self, session: Uuid) {
        if let Some(watched) = self.lock().get(&session) {
            watched.ended.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An eye on a session.
pub(super) struct Watch {
    ends: Arc<Ends>,
    session: Uuid,
    ended: CancellationToken,
}

impl Watch {
    /// Waits for the session's end.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Watch {
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
        let ends = Arc::new(Ends::default());
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
        let ends = Arc::new(Ends::default());
        let session = Uuid::new_v4();
        let (one, two) = (ends.watch(session), ends.watch(session));
        drop(one);
        ends.end(session);
        assert!(two.ended().now_or_never().is_some());
        drop(two);
        assert!(ends.lock().is_empty());
    }
}
