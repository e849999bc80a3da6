//! Recognises the retry of a refused request.
//!
//! Callers send nothing for it. The API key, the path and the length of the body do not change from attempt to attempt,
//! and they are enough where pictures differ in length. Where many callers send equally long pictures, the connection
//! distinguishes them: a retry comes over the connection that was refused, or over a new one after that one has closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::job_class::JobClass;

/// An open connection of a client. It lives as long as the connection does.
#[derive(Debug, Default)]
pub struct ClientConnection {
    has_had_request: AtomicBool,
}

impl ClientConnection {
    /// Identifies the connection for its next request.
    #[must_use]
    pub fn next_request(self: &Arc<Self>) -> ConnectionId {
        let is_first_request = !self.has_had_request.swap(true, Ordering::Relaxed);
        ConnectionId { connection: Arc::downgrade(self), is_first_request }
    }
}

/// The connection over which a request came.
#[derive(Clone, Debug)]
pub struct ConnectionId {
    connection: Weak<ClientConnection>,
    is_first_request: bool,
}

/// An unknown connection, which counts as closed.
impl Default for ConnectionId {
    fn default() -> Self {
        Self { connection: Weak::new(), is_first_request: true }
    }
}

/// Identifies a request across its attempts.
#[derive(Clone, Debug)]
pub struct RequestFingerprint {
    class: JobClass,
    /// Hash of key, path and length of the body.
    request_hash: u64,
    connection: ConnectionId,
}

impl RequestFingerprint {
    pub(super) fn new(request_hash: u64, connection: ConnectionId) -> Self {
        Self { class: JobClass::Pictures, request_hash, connection }
    }

    /// This fingerprint for a request that makes jobs of this class.
    #[must_use]
    pub fn with_class(self, class: JobClass) -> Self {
        Self { class, ..self }
    }

    pub(super) fn class(&self) -> JobClass {
        self.class
    }

    pub(super) fn request_hash(&self) -> u64 {
        self.request_hash
    }

    /// Whether both are the same request over the same connection, which is still open.
    pub(super) fn is_same_connection(&self, other: &Self) -> bool {
        self.is_same_request(other)
            && self.connection.connection.strong_count() > 0
            && self.connection.connection.ptr_eq(&other.connection.connection)
    }

    /// Whether `later` may be a retry of this request, over a new connection after this one's has closed.
    pub(super) fn may_have_reconnected_as(&self, later: &Self) -> bool {
        self.is_same_request(later)
            && self.connection.connection.strong_count() == 0
            && later.connection.is_first_request
    }

    /// Whether key, path and length are the same, over any connection.
    pub(super) fn is_same_request(&self, other: &Self) -> bool {
        self.request_hash == other.request_hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_tell_requests_apart_that_look_the_same() {
        let [one, other] = [(); 2].map(|()| Arc::new(ClientConnection::default()));
        let refused = RequestFingerprint::new(7, one.next_request());
        assert!(refused.is_same_connection(&RequestFingerprint::new(7, one.next_request())));
        assert!(!refused.is_same_connection(&RequestFingerprint::new(8, one.next_request())));
        assert!(!refused.is_same_connection(&RequestFingerprint::new(7, other.next_request())));
    }

    #[test]
    fn who_lost_the_connection_comes_over_a_new_one() {
        let [gone, busy, new] = [(); 3].map(|()| Arc::new(ClientConnection::default()));
        let refused = RequestFingerprint::new(7, gone.next_request());
        let _ = busy.next_request();
        assert!(
            !refused.may_have_reconnected_as(&RequestFingerprint::new(
                7,
                ClientConnection::next_request(&Arc::default())
            )),
            "it is still open"
        );
        drop(gone);
        assert!(
            !refused.may_have_reconnected_as(&RequestFingerprint::new(7, busy.next_request())),
            "a connection that was open all the time"
        );
        assert!(refused.may_have_reconnected_as(&RequestFingerprint::new(7, new.next_request())));
    }
}
