//! The handler of Face Liveness.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::route::Route;
use crate::families::face_liveness::LivenessAnswer;
use crate::families::json;
use crate::http::family::Family;
use crate::http::intake::receive::receive_whole;
use crate::http::{GatewayState, answer, operations};

pub(super) fn routes() -> [Route; 1] {
    [Route::new(&operations::FACE_LIVENESS, detect)]
}

async fn detect(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    let mut received = match receive_whole(&state, request).await {
        Ok(received) => received,
        Err(fault) => return answer::refused(&fault, Family::FaceLiveness),
    };
    let detected = state.face_liveness.detect(received.body, &received.context, &mut received.permit).await;
    match detected {
        Ok(text) => answer::text(text),
        Err(refused) => answer::refused_with(&refused.fault, Family::FaceLiveness, |_| {
            let object = LivenessAnswer::refused(refused.session_id.as_deref(), &refused.fault);
            json::to_vec(&object).unwrap_or_default()
        }),
    }
}
