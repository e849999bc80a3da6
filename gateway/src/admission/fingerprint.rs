//! What a caller who comes again is recognised by.
//!
//! Nothing is asked of callers for it. Key, operation and length of the body do not change from try to try, and are
//! enough where pictures differ. Where many send the same one, their connections tell them apart: who comes over the
//! connection that was refused, or over a new one after that has been closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// A connection over which requests come.
#[derive(Debug, Default)]
pub struct ClientConnection {
    has_asked: AtomicBool,
}

impl ClientConnection {
    /// A request comes over it.
    #[must_use]
    pub fn next_request(self: &Arc<Self>) -> ConnectionId {
        let is_first = !self.has_asked.swap(true, Ordering::Relaxed);
        ConnectionId { connection: Arc::downgrade(self), is_first }
    }
}

/// By which way a request has come.
#[derive(Clone, Debug)]
pub struct ConnectionId {
    connection: Weak<ClientConnection>,
    /// It is the connection's first request.
    is_first: bool,
}

/// A way of which nothing is known.
impl Default for ConnectionId {
    fn default() -> Self {
        Self { connection: Weak::new(), is_first: true }
    }
}

/// A request, as it is recognised when it comes again.
#[derive(Clone, Debug)]
pub struct RequestFingerprint {
    /// Hash of what does not change.
    request: u64,
    way: ConnectionId,
}

impl RequestFingerprint {
    pub(super) fn new(request: u64, way: ConnectionId) -> Self {
        Self { request, way }
    }

    pub(super) fn request(&self) -> u64 {
        self.request
    }

    /// Whether both are the same request over the same open connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.may_be(other)
            && self.way.connection.strong_count() > 0
            && self.way.connection.ptr_eq(&other.way.connection)
    }

    /// Whether `later` may be this request once more, after its connection has been closed.
    pub(super) fn may_return_as(&self, later: &Self) -> bool {
        self.may_be(later) && self.way.connection.strong_count() == 0 && later.way.is_first
    }

    /// Whether both look the same.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        self.request == other.request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_tell_requests_apart_that_look_the_same() {
        let [one, other] = [(); 2].map(|()| Arc::new(ClientConnection::default()));
        let refused = RequestFingerprint::new(7, one.next_request());
        assert!(refused.is_same(&RequestFingerprint::new(7, one.next_request())));
        assert!(!refused.is_same(&RequestFingerprint::new(8, one.next_request())));
        assert!(!refused.is_same(&RequestFingerprint::new(7, other.next_request())));
    }

    #[test]
    fn who_lost_the_connection_comes_over_a_new_one() {
        let [gone, busy, new] = [(); 3].map(|()| Arc::new(ClientConnection::default()));
        let refused = RequestFingerprint::new(7, gone.next_request());
        let _ = busy.next_request();
        assert!(
            !refused
                .may_return_as(&RequestFingerprint::new(7, ClientConnection::next_request(&Arc::default()))),
            "it is still open"
        );
        drop(gone);
        assert!(
            !refused.may_return_as(&RequestFingerprint::new(7, busy.next_request())),
            "somebody who was here all the time"
        );
        assert!(refused.may_return_as(&RequestFingerprint::new(7, new.next_request())));
    }
}
