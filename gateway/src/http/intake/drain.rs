//! What is not read of a body.
//!
//! A server that closes while its caller still sends makes the caller's system throw away the answer with the
//! connection. So the rest of a body is read and dropped for a moment beside the answer.

use std::time::Duration;

use axum::body::Body;
use http::request::Parts;
use http::{Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::timeout;

/// More than this is not read. Many callers look for an answer only when all is sent, so that it is enough for
/// uploads that are far too large; what reading costs is bounded by the time.
const MOST: usize = 128 << 20;
/// Nor for longer than this.
const LONGEST: Duration = Duration::from_secs(1);

/// The body of a request that was refused on its headers.
pub(in crate::http) fn refused(parts: &Parts, body: Body) {
    // Reading would invite a caller to send who still asks whether to.
    let asks_first = parts.headers.contains_key(header::EXPECT);
    // HTTP/2 can end one request without the others.
    if !asks_first && parts.version < Version::HTTP_2 {
        rest(body);
    }
}

/// What is left of a body.
pub(in crate::http) fn rest(body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(LONGEST, discard(body)));
}

async fn discard(mut body: Body) {
    let mut dropped = 0;
    while dropped < MOST
        && let Some(Ok(frame)) = body.frame().await
    {
        dropped += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}
