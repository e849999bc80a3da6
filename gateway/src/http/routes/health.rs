//! /livez and /readyz.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::route::Route;
use crate::http::{GatewayState, operations};

pub(super) fn routes() -> [Route; 2] {
    [Route::new(&operations::LIVEZ, livez), Route::new(&operations::READYZ, readyz)]
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(state): State<Arc<GatewayState>>) -> Response {
    let missing = state.readiness.missing();
    if missing.is_empty() {
        "ok\n".into_response()
    } else {
        let text = format!("not ready: {}\n", missing.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
