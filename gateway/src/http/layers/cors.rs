//! CORS: which web pages may call from a browser (Fetch standard).

use std::time::Duration;

use axum::Router;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

use super::bws_headers;

/// How long browsers may cache the answer to a preflight request. They have lower bounds of their own.
const MAX_AGE: Duration = Duration::from_hours(1);
/// Headers that a page may send.
const REQUEST_HEADERS: [HeaderName; 9] = [
    HeaderName::from_static("apikey"),
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("reference-number"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-capture-token"),
    HeaderName::from_static("x-request-id"),
];
/// Headers of an answer that a page may read, besides those of BWS.
const ANSWER_HEADERS: [HeaderName; 10] = [
    HeaderName::from_static("deprecation"),
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("idempotency-replayed"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("x-capture-token"),
    HeaderName::from_static("x-request-id"),
];

/// Allows pages of `origins` to call. Without any, browsers refuse pages of all other origins.
pub(in crate::http) fn allow(router: Router, origins: &[String]) -> Router {
    // The settings were validated, so none is dropped here.
    let origins: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return router;
    }
    router.layer(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(ANSWER_HEADERS.into_iter().chain(bws_headers::NAMES).collect::<Vec<_>>())
            .max_age(MAX_AGE),
    )
}
