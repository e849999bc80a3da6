//! The common parts of answers with a JSON body.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// `Cache-Control` of every answer: biometric data must not stay in caches on its way.
pub(in crate::http) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// An answer with this status and JSON that is already serialised.
pub(super) fn json_with_status(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}
