//! Which connections have nothing to do, and since when.
//!
//! A connection is busy while a request is being answered, and idle else: before its first request, between two, and
//! while its caller does not read the answer. When there are too many connections, the one that has been idle longest
//! makes room, so that connections which ask for nothing never keep out one that does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faceline_shared::shutdown::CancellationToken;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// The idle connections of a listener.
#[derive(Default)]
pub(in crate::http) struct Idle {
    queue: Mutex<Queue>,
    entered: Notify,
}

/// Ends of connections by the place that each took when it became idle.
#[derive(Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Idle {
    /// Ends the connection that has been idle longest; waits for one where none is.
    pub(in crate::http) async fn shed(&self) {
        loop {
            let entered = self.entered.notified();
            if self.try_shed() {
                return;
            }
            entered.await;
        }
    }

    /// Ends the connection that has been idle longest, if there is one.
    pub(in crate::http) fn try_shed(&self) -> bool {
        let longest = self.queue().waiting.pop_first();
        longest.inspect(|(_, end)| end.cancel()).is_some()
    }

    fn enter(&self, end: &CancellationToken) -> u64 {
        let mut queue = self.queue();
        let place = queue.next;
        queue.next += 1;
        queue.waiting.insert(place, end.clone());
        drop(queue);
        self.entered.notify_one();
        place
    }

    fn leave(&self, place: u64) {
        self.queue().waiting.remove(&place);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one connection is doing.
pub(in crate::http) struct Activity {
    idle: Arc<Idle>,
    end: CancellationToken,
    state: Mutex<State>,
}

struct State {
    under_way: usize,
    has_asked: bool,
    since: Instant,
    /// In the queue of idle connections.
    place: u64,
}

/// How long a connection may be idle.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Patience {
    /// Before its first request.
    pub(in crate::http) first: Duration,
    /// After a request.
    pub(in crate::http) next: Duration,
}

impl Activity {
    /// A connection that has just been accepted.
    pub(in crate::http) fn new(idle: Arc<Idle>) -> Arc<Self> {
        let end = CancellationToken::new();
        let place = idle.enter(&end);
        let state = State { under_way: 0, has_asked: false, since: Instant::now(), place };
        Arc::new(Self { idle, end, state: Mutex::new(state) })
    }

    /// A request has come; it is under way until what this returns is dropped.
    pub(in crate::http) fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state();
        state.under_way += 1;
        state.has_asked = true;
        self.idle.leave(state.place);
        UnderWay(Arc::clone(self))
    }

    /// A piece of an answer went out.
    pub(in crate::http) fn progress(&self) {
        self.rest(&mut self.state());
    }

    /// Resolves when the connection is to make room for another one.
    pub(in crate::http) async fn shed(&self) {
        self.end.cancelled().await;
    }

    /// Resolves when the connection has been idle for too long, after `grace` at the earliest.
    pub(in crate::http) async fn overdue(&self, grace: Duration, patience: Patience) {
        sleep(grace).await;
        loop {
            let now = Instant::now();
            let due = {
                let state = self.state();
                if state.under_way > 0 {
                    now + patience.next
                } else {
                    state.since + if state.has_asked { patience.next } else { patience.first }
                }
            };
            if due <= now {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Takes the last place in the queue, unless a request is under way.
    fn rest(&self, state: &mut State) {
        state.since = Instant::now();
        if state.under_way == 0 {
            self.idle.leave(state.place);
            state.place = self.idle.enter(&self.end);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.idle.leave(self.state().place);
    }
}

/// A request that is being answered.
pub(in crate::http) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        self.0.rest(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_shed(activity: &Activity) -> bool {
        activity.shed().now_or_never().is_some()
    }

    #[test]
    fn the_longest_idle_makes_room_and_the_busy_never() {
        let idle = Arc::new(Idle::default());
        let [busy, again, oldest, newest] = std::array::from_fn(|_| Activity::new(Arc::clone(&idle)));
        let _under_way = busy.begin();
        drop(again.begin());
        let gone = Activity::new(Arc::clone(&idle));
        drop(gone);
        let mut shed = Vec::new();
        while idle.try_shed() {
            shed.push([&busy, &again, &oldest, &newest].map(|activity| is_shed(activity)));
        }
        assert_eq!(
            shed,
            [[false, false, true, false], [false, false, true, true], [false, true, true, true]]
        );
    }

    #[test]
    fn several_requests_at_once_are_all_waited_for() {
        let idle = Arc::new(Idle::default());
        let activity = Activity::new(Arc::clone(&idle));
        let (first, second) = (activity.begin(), activity.begin());
        drop(first);
        activity.progress();
        assert!(!idle.try_shed());
        assert!(idle.shed().now_or_never().is_none());
        drop(second);
        assert!(idle.shed().now_or_never().is_some());
        assert!(is_shed(&activity));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_starts_anew_with_each_sign_of_life() {
        let patience = Patience { first: Duration::from_secs(1), next: Duration::from_secs(10) };
        let started = Instant::now();
        let silent = Activity::new(Arc::default());
        silent.overdue(Duration::ZERO, patience).await;
        assert_eq!(started.elapsed().as_secs(), 1);

        let started = Instant::now();
        let activity = Activity::new(Arc::default());
        let answered = async {
            let under_way = activity.begin();
            sleep_until(started + Duration::from_secs(25)).await;
            drop(under_way);
            sleep_until(started + Duration::from_secs(30)).await;
            activity.progress();
        };
        tokio::join!(answered, activity.overdue(Duration::ZERO, patience));
        assert_eq!(started.elapsed().as_secs(), 40);
    }
}
