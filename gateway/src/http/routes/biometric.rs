//! Handlers of Biometric Services that need no session.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::route::Route;
use crate::admission;
use crate::dependencies::outage;
use crate::fault::Fault;
use crate::http::answer::{self, Answer};
use crate::http::intake::receive::{receive_form, receive_without_body};
use crate::http::{GatewayState, operations};

pub(super) fn routes() -> [Route; 5] {
    [
        Route::new(&operations::CAPABILITIES, capabilities),
        Route::new(&operations::CREATE_FACE, create_face),
        Route::new(&operations::MATCH_IMAGES, match_images),
        Route::new(&operations::MATCH, match_face),
        Route::new(&operations::CREATE_AGE, estimate_age),
    ]
}

async fn capabilities(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    let _received = receive_without_body(&state, request).await?;
    // Monitoring that was written for the original service uses this answer as a health check.
    if !state.readiness.missing().is_empty() {
        return Err(Fault::NotWorking.into());
    }
    if let Some(cause) = state.submit.outage().or_else(|| outage(&state.readiness)) {
        return Err(admission::outage(cause).into());
    }
    answer::json(&state.biometric.capabilities())
}

async fn create_face(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request).await?;
    Ok(answer::text(state.biometric.create_face(&received.body, received.context).await?))
}

async fn match_images(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request).await?;
    Ok(answer::text(state.biometric.match_images(&received.body, received.context).await?))
}

async fn match_face(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request).await?;
    Ok(answer::text(state.biometric.match_face(&received.body, received.context).await?))
}

async fn estimate_age(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request).await?;
    Ok(answer::text(state.biometric.estimate_age(&received.body, received.context).await?))
}
