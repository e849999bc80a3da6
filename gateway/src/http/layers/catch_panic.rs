//! Answers a panic in a handler with an internal error instead of cutting the connection.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;

use crate::fault::Fault;
use crate::http::answer;
use crate::http::family::Family;

pub(in crate::http) async fn catch_panic(request: Request, next: Next) -> Response {
    let family = Family::of_request(request.uri().path(), request.headers());
    // A panic drops everything that the handler owned. Shared state is behind locks whose poisoning is ignored.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            tracing::error!(message, "a handler panicked");
            answer::refused(&Fault::Internal, family)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::{Router, routing};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error() {
        let fall = async || -> &'static str { panic!("on purpose") };
        let router = Router::new().route("/", routing::get(fall)).layer(from_fn(catch_panic));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}
