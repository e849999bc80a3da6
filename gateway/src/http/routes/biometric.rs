//! Routes of Biometric Services that belong to no session.

use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::extract::{self, Request};
use axum::response::Response;
use axum::routing::{get, post};

use super::operation;
use crate::accounts::Permission;
use crate::families::biometric;
use crate::http::State;
use crate::http::answer::{self, Answer};
use crate::http::intake::receive::{Work, receive_bare, receive_form};

type Shared = extract::State<Arc<State>>;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(operation::CAPABILITIES, get(capabilities))
        .route(operation::FACES, post(create_face))
        .route(operation::MATCH_IMAGES, post(match_images))
        .route(operation::MATCH, post(match_face))
        .route(operation::AGES, post(estimate_age))
}

async fn capabilities(extract::State(state): Shared, request: Request) -> Answer<Response> {
    let _received = receive_bare(&state, request, Permission::CapabilitiesRead, Work::None).await?;
    // Those who watch an instance of the original ask here.
    if !state.readiness.missing().is_empty() {
        return Err(Fault::NotWorking.into());
    }
    answer::json(&state.biometric.capabilities())
}

async fn create_face(extract::State(state): Shared, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request, Permission::FacesCreate, &biometric::FACES).await?;
    Ok(answer::text(state.biometric.create_face(&received.body, received.context).await?))
}

async fn match_images(extract::State(state): Shared, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request, Permission::Match, &biometric::MATCH_IMAGES).await?;
    Ok(answer::text(state.biometric.match_images(&received.body, received.context).await?))
}

async fn match_face(extract::State(state): Shared, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request, Permission::Match, &biometric::MATCH).await?;
    Ok(answer::text(state.biometric.match_face(&received.body, received.context).await?))
}

async fn estimate_age(extract::State(state): Shared, request: Request) -> Answer<Response> {
    let received = receive_form(&state, request, Permission::AgesCreate, &biometric::AGES).await?;
    Ok(answer::text(state.biometric.estimate_age(&received.body, received.context).await?))
}
