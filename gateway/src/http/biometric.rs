//! Routes of Biometric Services.

use std::sync::Arc;

use axum::Router;
use axum::extract::{self, Request};
use axum::response::Response;
use axum::routing::{get, post};

use super::answer::{self, Refusal};
use super::receive::{authorize, receive};
use super::{State, operation};
use crate::accounts::Permission;
use crate::biometric;

type Shared = extract::State<Arc<State>>;
type Answer = Result<Response, Refusal>;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(operation::CAPABILITIES, get(capabilities))
        .route(operation::FACES, post(create_face))
        .route(operation::MATCH_IMAGES, post(match_images))
        .route(operation::MATCH, post(match_face))
}

async fn capabilities(extract::State(state): Shared, request: Request) -> Answer {
    authorize(&state, request.headers(), Permission::CapabilitiesRead)?;
    answer::json(&state.biometric.capabilities())
}

async fn create_face(extract::State(state): Shared, request: Request) -> Answer {
    let received = receive(&state, request, Permission::FacesCreate, &biometric::FACES).await?;
    answer::json(&state.biometric.create_face(&received.form, received.call).await?)
}

async fn match_images(extract::State(state): Shared, request: Request) -> Answer {
    let received = receive(&state, request, Permission::Match, &biometric::MATCH_IMAGES).await?;
    answer::json(&state.biometric.match_images(&received.form, received.call).await?)
}

async fn match_face(extract::State(state): Shared, request: Request) -> Answer {
    let received = receive(&state, request, Permission::Match, &biometric::MATCH).await?;
    answer::json(&state.biometric.match_face(&received.form, received.call).await?)
}
