//! All routes under all layers.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use faceline_shared::error::Fault;

use super::answer::Refusal;
use super::{State, biometric, health, layers, operation};

/// The routes; the outermost layer comes last.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route(operation::LIVEZ, get(health::livez))
        .route(operation::READYZ, get(health::readyz))
        .merge(biometric::routes())
        .fallback(async || Refusal::from(Fault::NotFound("there is nothing at this path".into())))
        .method_not_allowed_fallback(async || Refusal::from(Fault::MethodNotAllowed))
        .layer(from_fn(layers::catch_panic))
        .layer(from_fn_with_state(Arc::clone(&state), layers::measure))
        .layer(from_fn(layers::trace))
        .layer(from_fn(layers::request_id))
        .with_state(state)
}
