//! /livez and /readyz, as the operators' listener answers them.

use std::sync::Arc;

use axum::extract::State;
use faceline_shared::admin::health;
use http::StatusCode;

use super::route::Route;
use crate::http::{GatewayState, operations};

pub(super) fn routes() -> [Route; 2] {
    [Route::new(&operations::LIVEZ, livez), Route::new(&operations::READYZ, readyz)]
}

async fn livez() -> (StatusCode, String) {
    health::livez()
}

async fn readyz(State(state): State<Arc<GatewayState>>) -> (StatusCode, String) {
    health::readyz(&state.readiness)
}
