//! /livez and /readyz, for everybody.

use std::sync::Arc;

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::http::State;

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(extract::State(state): extract::State<Arc<State>>) -> Response {
    let missing = state.readiness.missing();
    if missing.is_empty() {
        "ok\n".into_response()
    } else {
        let text = format!("not ready: {}\n", missing.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
