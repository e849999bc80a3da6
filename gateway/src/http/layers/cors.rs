//! CORS: which web pages may call from a browser (Fetch standard).

use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use faceline_shared::settings::CaptureRules;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, header};
use tower::ServiceExt as _;
use tower_http::cors::{AllowOrigin, AllowPrivateNetwork, CorsLayer};

use super::bws_headers;
use crate::http::operations;

/// Paths that pages of all origins may load: they need no credential, and their answers concern no person.
const FOR_ALL_PAGES: [&str; 8] = [
    operations::WEB_SDK.path,
    operations::VIDEO_SCRIPT.path,
    operations::VIDEO_CAPABILITIES.path,
    operations::VIDEO_CAPABILITIES_UNVERSIONED.path,
    operations::VIDEO_MONITOR.path,
    operations::NETWORK_UPLOAD.path,
    operations::NETWORK_LATENCY.path,
    operations::RELAYS.path,
];
/// Time for which browsers may cache the answer to a preflight request. They have lower bounds of their own.
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

/// Allows pages of `origins` to call everything, and pages that may capture to call the operations of devices. If the
/// gateway serves pages or scripts, or all origins may capture, all pages may load `FOR_ALL_PAGES`. Browsers refuse the
/// calls of pages of other origins.
pub(in crate::http) fn allow(router: Router, origins: &[String], capture: &CaptureRules) -> Router {
    // The settings were validated, so none is dropped here.
    let origins: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let serves_pages = capture.pages || capture.scripts || capture.allow_any_origin();
    if origins.is_empty() && !serves_pages {
        return router;
    }
    let capture = capture.clone();
    let is_allowed = move |origin: &HeaderValue, parts: &Parts| {
        let may_capture = || origin.to_str().is_ok_and(|origin| capture.allow_origin(origin));
        origins.contains(origin)
            || match parts.extensions.get().map(MatchedPath::as_str) {
                Some(route) if FOR_ALL_PAGES.contains(&route) => serves_pages,
                Some(route) => operations::is_for_capture_pages(route) && may_capture(),
                None => false,
            }
    };
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(ANSWER_HEADERS.into_iter().chain(bws_headers::NAMES).collect::<Vec<_>>())
        // A browser asks for this before a page of the internet may call a gateway in a private network.
        .allow_private_network(AllowPrivateNetwork::yes())
        .max_age(MAX_AGE);
    let closed = router.clone();
    router.layer(layer).layer(middleware::from_fn(move |request: Request, next: Next| {
        // The CORS layer takes every OPTIONS request for a preflight. One that is no preflight goes to the service,
        // which has no such method.
        let is_for_service = request.method() == Method::OPTIONS && !is_preflight(&request);
        let service = is_for_service.then(|| closed.clone());
        async move {
            let Some(service) = service else { return next.run(request).await };
            let Ok(answer) = service.oneshot(request).await;
            answer
        }
    }))
}

/// Whether a request is a preflight: the browser asks if it may send the actual one (Fetch standard, 3.2.2).
fn is_preflight(request: &Request) -> bool {
    [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD]
        .iter()
        .all(|name| request.headers().contains_key(name))
}
