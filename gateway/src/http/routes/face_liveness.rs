//! The route of Face Liveness.

use std::sync::Arc;

use axum::Router;
use axum::extract::{self, Request};
use axum::response::Response;
use axum::routing::post;

use super::operation;
use crate::accounts::Permission;
use crate::families::face_liveness::LivenessAnswer;
use crate::families::json;
use crate::http::answer::family::Family;
use crate::http::intake::receive::{WholeBody, receive_whole};
use crate::http::{State, answer};

const FAMILY: Family = Family::FaceLiveness;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route(operation::FACE_LIVENESS, post(detect))
}

async fn detect(extract::State(state): extract::State<Arc<State>>, request: Request) -> Response {
    let form = WholeBody::json_with_picture(state.config.limits.picture_bytes);
    let mut received = match receive_whole(&state, request, Permission::LivenessDetect, &form).await {
        Ok(received) => received,
        Err(fault) => return answer::refused(&fault, FAMILY),
    };
    let detected = state.face_liveness.detect(received.body, &received.context, &mut received.ticket).await;
    match detected {
        Ok(text) => answer::text(text),
        Err(refused) => answer::refused_with(&refused.fault, FAMILY, |_| {
            let object = LivenessAnswer::refused(refused.session_id.as_deref(), &refused.fault);
            json::to_vec(&object).unwrap_or_default()
        }),
    }
}
