//! Discards the unread rest of a body.
//!
//! If a server closes a connection while its caller is still sending, the caller's system discards the answer
//! together with the connection. So the rest of a body is read and dropped for a moment while the answer is sent.

use std::time::Duration;

use axum::body::Body;
use http::request::Parts;
use http::{Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::timeout;

/// Bytes that are read at most. Many callers look for an answer only when they have sent everything, so this is
/// enough for uploads far above the limit. [`DRAIN_TIMEOUT`] bounds what reading costs.
const MAX_DRAINED_BYTES: usize = 128 << 20;
/// The time after which the rest is not read any more.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Discards the body of a request that was refused on its headers.
pub(in crate::http) fn refused(parts: &Parts, body: Body) {
    // Reading would answer `Expect: 100-continue` and invite the caller to send the body.
    let expects_continue = parts.headers.contains_key(header::EXPECT);
    // HTTP/2 can end one request without the others.
    if !expects_continue && parts.version < Version::HTTP_2 {
        rest(body);
    }
}

/// Discards the rest of a body, in a task of its own.
pub(in crate::http) fn rest(body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DRAIN_TIMEOUT, discard(body)));
}

async fn discard(mut body: Body) {
    let mut discarded = 0;
    while discarded < MAX_DRAINED_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        discarded += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}
