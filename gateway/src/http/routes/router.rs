//! All routes under all layers.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use faceline_shared::admin::Readiness;
use faceline_shared::settings::Settings;

use super::route::Route;
use super::{biometric, bws, docs, face_liveness, health, replays, sessions, signing, upload, web};
use crate::fault::Fault;
use crate::http::family::Family;
use crate::http::grpc::{health as grpc_health, reflection};
use crate::http::{GatewayState, answer, layers};

/// The router of the public listener.
///
/// A layer wraps all that was added before it, so the last one here is the outermost: it sees a request first and its
/// answer last.
pub(in crate::http) fn router(state: Arc<GatewayState>) -> Router {
    routes(&state.config, &state.readiness)
        .into_iter()
        .fold(Router::new(), |router, route| route.add_to(router))
        .fallback(async |request| refuse(&request, &Fault::NotFound("there is nothing at this path".into())))
        .method_not_allowed_fallback(async |request| refuse(&request, &Fault::MethodNotAllowed))
        // Innermost: the answer to a panic passes all other layers like every other answer.
        .layer(from_fn(layers::catch_panic))
        // Outside of `catch_panic`: errors of all kinds have these headers, too. Inside of `trace`, whose span it
        // completes.
        .layer(from_fn(layers::bws_headers))
        // Outside of `catch_panic`: a request that ended in a panic has a usage record. Inside of all layers that add
        // headers, as the record is written before the answer is complete. Inside of `record`, whose facts it reads.
        .layer(from_fn_with_state(Arc::clone(&state), layers::usage))
        // Inside of `record`, whose facts it reads.
        .layer(from_fn(layers::rate_limit_headers))
        // Outside of `usage`: writing the usage record is part of the time that a caller waits. Inside of `record`,
        // where it finds the client.
        .layer(from_fn_with_state(Arc::clone(&state), layers::measure))
        // Outside of all layers that read the record or add to it. Inside of `trace` and `request_id`, which do not
        // use it.
        .layer(from_fn(layers::record))
        // Outside of all layers that log, so every line has the span's fields. Inside of the two layers from which
        // it takes fields.
        .layer(from_fn(layers::trace))
        // Outside of `trace` and `usage`, which read the id.
        .layer(from_fn(layers::request_id))
        // Outermost: `trace`, `measure`, `usage` and the handlers read the operation.
        .layer(from_fn(layers::match_operation))
        .with_state(state)
}

/// All routes. Pages and scripts for browsers are included only if the settings enable them.
fn routes(settings: &Settings, readiness: &Readiness) -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(health::routes());
    routes.extend(biometric::routes());
    routes.extend(signing::routes());
    routes.extend(sessions::routes());
    routes.extend(upload::routes());
    routes.extend(replays::routes());
    routes.extend(face_liveness::routes());
    routes.extend(docs::routes(&settings.http));
    routes.extend(web::routes(&settings.capture, &settings.capture_rules()));
    routes.extend(bws::routes());
    routes.extend(grpc_health::routes(readiness));
    routes.extend(reflection::routes());
    routes
}

/// Answers a request for which there is no route.
fn refuse(request: &Request, fault: &Fault) -> Response {
    match Family::of_request(request.uri().path(), request.headers()) {
        Family::Grpc => {
            answer::refused(&Fault::NotImplemented("there is no such method".into()), Family::Grpc)
        }
        family => answer::refused(fault, family),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::operations::{self, Operation};

    #[test]
    fn every_operation_of_the_table_has_one_route_and_no_route_lacks_a_row() {
        // The default settings are those of a demonstration, which has all routes.
        let settings = Settings::default();
        let sorted = |mut all: Vec<&'static Operation>| {
            all.sort_by_key(|operation| (operation.path, operation.method.as_str()));
            all.into_iter().map(std::ptr::from_ref).collect::<Vec<_>>()
        };
        let routed = routes(&settings, &Readiness::new()).iter().map(|route| route.operation).collect();
        assert_eq!(sorted(routed), sorted(operations::ALL.to_vec()));
    }
}
