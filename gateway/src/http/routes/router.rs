//! All routes under all layers.

use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;

use super::{biometric, bws, docs, face_liveness, health, operation, sessions, signing};
use crate::http::answer::family::Family;
use crate::http::intake::drain;
use crate::http::{State, answer, grpc, layers};

/// The routes; the outermost layer comes last.
pub(in crate::http) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route(operation::LIVEZ, get(health::livez))
        .route(operation::READYZ, get(health::readyz))
        .merge(biometric::routes())
        .merge(signing::routes())
        .merge(sessions::routes())
        .merge(face_liveness::routes())
        .merge(docs::routes(&state.config.http))
        .merge(bws::routes())
        .merge(grpc::routes(&state))
        .fallback(async |request| refuse(request, &Fault::NotFound("there is nothing at this path".into())))
        .method_not_allowed_fallback(async |request| refuse(request, &Fault::MethodNotAllowed))
        .layer(from_fn(layers::catch_panic))
        .layer(from_fn_with_state(Arc::clone(&state), layers::usage))
        .layer(from_fn(layers::rate_limit))
        .layer(from_fn_with_state(Arc::clone(&state), layers::measure))
        .layer(from_fn(layers::trace))
        .layer(from_fn(layers::request_id))
        .with_state(state)
}

fn refuse(request: Request, fault: &Fault) -> Response {
    let (parts, body) = request.into_parts();
    drain::refused(&parts, body);
    match Family::of_request(parts.uri.path(), &parts.headers) {
        Family::Grpc => {
            answer::refused(&Fault::NotImplemented("there is no such method".into()), Family::Grpc)
        }
        family => answer::refused(fault, family),
    }
}
