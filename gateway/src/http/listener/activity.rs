//! Records which connections are idle, and since when.
//!
//! A connection is busy while a handler runs. Otherwise it is idle: before its first request, between two requests,
//! and while its caller does not read the answer. At the limit of connections, the one that has been idle longest is
//! closed for a new one, so idle connections cannot keep out active ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faceline_shared::shutdown::CancellationToken;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::http::protocol::ConnectionEvents;

/// The idle connections of a listener.
#[derive(Default)]
pub(super) struct IdleConnections {
    queue: Mutex<IdleQueue>,
    entered: Notify,
}

/// The idle connections in the order in which they became idle.
#[derive(Default)]
struct IdleQueue {
    next_position: u64,
    /// The token that closes the connection at each position.
    connections: BTreeMap<u64, CancellationToken>,
}

impl IdleConnections {
    /// Closes the connection that has been idle longest. Waits until there is one.
    pub(super) async fn shed(&self) {
        loop {
            let entered = self.entered.notified();
            if self.try_shed() {
                return;
            }
            entered.await;
        }
    }

    /// Closes the connection that has been idle longest, if there is one.
    pub(super) fn try_shed(&self) -> bool {
        let longest = self.queue().connections.pop_first();
        longest.inspect(|(_, close)| close.cancel()).is_some()
    }

    fn enter(&self, close: &CancellationToken) -> u64 {
        let mut queue = self.queue();
        let position = queue.next_position;
        queue.next_position += 1;
        queue.connections.insert(position, close.clone());
        drop(queue);
        self.entered.notify_one();
        position
    }

    fn leave(&self, position: u64) {
        self.queue().connections.remove(&position);
    }

    fn queue(&self) -> MutexGuard<'_, IdleQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The activity of one connection.
pub(super) struct ConnectionActivity {
    idle: Arc<IdleConnections>,
    close: CancellationToken,
    state: Mutex<ActivityState>,
    /// Notified when a request's headers have begun, because the deadline has to be computed again.
    deadline_changed: Notify,
    is_http2: CancellationToken,
    first_request: CancellationToken,
    is_last_answer: AtomicBool,
}

struct ActivityState {
    requests_in_progress: usize,
    /// Requests whose bodies are still being read. Bytes that arrive meanwhile are not headers.
    bodies_in_progress: usize,
    /// The time at which the first byte of a request's headers arrived. `None` once the headers are complete.
    headers_began: Option<Instant>,
    /// The time at which the connection was last active.
    active: Instant,
    /// The position in the queue of idle connections.
    position: u64,
}

/// Time limits for a connection that has no request in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdleTimeouts {
    /// Before its first request.
    pub(super) first_request: Duration,
    /// Between two requests.
    pub(super) next_request: Duration,
    /// From the first byte of a request's headers to the last one.
    pub(super) headers: Duration,
}

impl ConnectionActivity {
    /// The activity of a connection that has just been accepted.
    pub(super) fn new(idle: Arc<IdleConnections>) -> Arc<Self> {
        let close = CancellationToken::new();
        let position = idle.enter(&close);
        let state = ActivityState {
            requests_in_progress: 0,
            bodies_in_progress: 0,
            headers_began: None,
            active: Instant::now(),
            position,
        };
        Arc::new(Self {
            idle,
            close,
            state: Mutex::new(state),
            deadline_changed: Notify::new(),
            is_http2: CancellationToken::new(),
            first_request: CancellationToken::new(),
            is_last_answer: AtomicBool::new(false),
        })
    }

    /// Records that a request has arrived. It is in progress until the returned guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        let mut state = self.state();
        state.requests_in_progress += 1;
        state.headers_began = None;
        self.idle.leave(state.position);
        drop(state);
        self.first_request.cancel();
        RequestGuard(Arc::clone(self))
    }

    /// Records that bytes have arrived. Over HTTP/1.1, between two requests, they begin the headers of the next one.
    pub(super) fn note_received(&self) {
        if self.is_http2.is_cancelled() {
            return;
        }
        let mut state = self.state();
        let is_between_requests = state.requests_in_progress == 0 && state.bodies_in_progress == 0;
        if is_between_requests && state.headers_began.is_none() {
            state.headers_began = Some(Instant::now());
            self.deadline_changed.notify_one();
        }
    }

    /// Resolves when the connection has had a request over HTTP/2. Announcing the end earlier would end a connection
    /// that its caller has just opened.
    pub(super) async fn http2_request(&self) {
        self.is_http2.cancelled().await;
        self.first_request.cancelled().await;
    }

    /// Makes the next answer over HTTP/1.1 the last one of the connection, and has that answer announce it.
    pub(super) fn end_after_next_answer(&self) {
        self.is_last_answer.store(true, Ordering::Relaxed);
    }

    /// Whether the next answer is the last one of the connection.
    pub(super) fn is_last_answer(&self) -> bool {
        self.is_last_answer.load(Ordering::Relaxed)
    }

    /// Whether the connection has had a request.
    pub(super) fn had_request(&self) -> bool {
        self.first_request.is_cancelled()
    }

    /// Records that the caller has read a part of an answer.
    pub(super) fn note_progress(&self) {
        self.note_active(&mut self.state());
    }

    /// Resolves when the connection has to close for a new one.
    pub(super) async fn shed(&self) {
        self.close.cancelled().await;
    }

    /// Resolves when the connection has been idle for too long, but not before `grace` has passed.
    pub(super) async fn idle_for_too_long(&self, grace: Duration, timeouts: IdleTimeouts) {
        sleep(grace).await;
        loop {
            let now = Instant::now();
            let due = {
                let state = self.state();
                if state.requests_in_progress > 0 {
                    now + timeouts.next_request
                } else {
                    let idle =
                        if self.had_request() { timeouts.next_request } else { timeouts.first_request };
                    let headers = state.headers_began.map(|began| began + timeouts.headers);
                    headers.map_or(state.active + idle, |headers| headers.min(state.active + idle))
                }
            };
            if due <= now {
                return;
            }
            tokio::select! {
                () = sleep_until(due) => (),
                () = self.deadline_changed.notified() => (),
            }
        }
    }

    /// Moves the connection to the end of the queue, unless a request is in progress.
    fn note_active(&self, state: &mut ActivityState) {
        state.active = Instant::now();
        if state.requests_in_progress == 0 {
            self.idle.leave(state.position);
            state.position = self.idle.enter(&self.close);
        }
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionEvents for Arc<ConnectionActivity> {
    type BodyGuard = BodyGuard;

    /// Between two requests HTTP/2 sends frames that need not belong to a request, so they start no time for headers.
    fn note_http2(&self) {
        self.is_http2.cancel();
        self.state().headers_began = None;
    }

    fn begin_body(&self) -> BodyGuard {
        self.state().bodies_in_progress += 1;
        BodyGuard(Self::clone(self))
    }
}

impl Drop for ConnectionActivity {
    fn drop(&mut self) {
        self.idle.leave(self.state().position);
    }
}

/// A request in progress.
pub(super) struct RequestGuard(Arc<ConnectionActivity>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests_in_progress -= 1;
        self.0.note_active(&mut state);
    }
}

/// The body of a request that is still being read.
pub(super) struct BodyGuard(Arc<ConnectionActivity>);

impl Drop for BodyGuard {
    fn drop(&mut self) {
        self.0.state().bodies_in_progress -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const TIMEOUTS: IdleTimeouts = IdleTimeouts {
        first_request: Duration::from_secs(1),
        next_request: Duration::from_secs(10),
        headers: Duration::from_secs(2),
    };

    fn is_shed(activity: &ConnectionActivity) -> bool {
        activity.shed().now_or_never().is_some()
    }

    #[test]
    fn the_longest_idle_makes_room_and_the_busy_never() {
        let idle = Arc::new(IdleConnections::default());
        let [busy, again, oldest, newest] =
            std::array::from_fn(|_| ConnectionActivity::new(Arc::clone(&idle)));
        let _in_progress = busy.begin_request();
        drop(again.begin_request());
        let gone = ConnectionActivity::new(Arc::clone(&idle));
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
        let idle = Arc::new(IdleConnections::default());
        let activity = ConnectionActivity::new(Arc::clone(&idle));
        let (first, second) = (activity.begin_request(), activity.begin_request());
        drop(first);
        activity.note_progress();
        assert!(!idle.try_shed());
        assert!(idle.shed().now_or_never().is_none());
        drop(second);
        assert!(idle.shed().now_or_never().is_some());
        assert!(is_shed(&activity));
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_timeout_restarts_with_each_activity() {
        let started = Instant::now();
        let silent = ConnectionActivity::new(Arc::default());
        silent.idle_for_too_long(Duration::ZERO, TIMEOUTS).await;
        assert_eq!(started.elapsed().as_secs(), 1);

        let started = Instant::now();
        let activity = ConnectionActivity::new(Arc::default());
        let answered = async {
            let in_progress = activity.begin_request();
            sleep_until(started + Duration::from_secs(25)).await;
            drop(in_progress);
            sleep_until(started + Duration::from_secs(30)).await;
            activity.note_progress();
        };
        tokio::join!(answered, activity.idle_for_too_long(Duration::ZERO, TIMEOUTS));
        assert_eq!(started.elapsed().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn the_headers_of_the_next_request_have_time_from_their_first_byte_on() {
        let started = Instant::now();
        let activity = ConnectionActivity::new(Arc::default());
        drop(activity.begin_request());
        let begins = async {
            sleep(Duration::from_secs(7)).await;
            activity.note_received();
            sleep(Duration::from_secs(1)).await;
            activity.note_received();
        };
        tokio::join!(begins, activity.idle_for_too_long(Duration::ZERO, TIMEOUTS));
        assert_eq!(started.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_header_starts_no_header_time() {
        let started = Instant::now();
        let activity = ConnectionActivity::new(Arc::default());
        drop(activity.begin_request());
        let bodies = async {
            // The rest of a body arrives after the answer.
            let body = activity.begin_body();
            activity.note_received();
            drop(body);
            sleep(Duration::from_secs(5)).await;
            // The first byte of a request that is complete in time.
            activity.note_received();
            drop(activity.begin_request());
        };
        tokio::join!(bodies, activity.idle_for_too_long(Duration::ZERO, TIMEOUTS));
        assert_eq!(started.elapsed().as_secs(), 15);

        let started = Instant::now();
        let http2 = ConnectionActivity::new(Arc::default());
        http2.note_received();
        http2.note_http2();
        http2
            .idle_for_too_long(
                Duration::ZERO,
                IdleTimeouts { first_request: Duration::from_secs(9), ..TIMEOUTS },
            )
            .await;
        assert_eq!(started.elapsed().as_secs(), 9);
    }
}
