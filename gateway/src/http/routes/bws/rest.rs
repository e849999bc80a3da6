//! BWS over REST.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json::{self, DetectionBody, VerificationBody, VideoDetectionBody};
use crate::fault::Fault;
use crate::http::family::Family;
use crate::http::intake::receive::{Received, receive_whole};
use crate::http::routes::route::Route;
use crate::http::{GatewayState, answer, operations};
use crate::request::RequestContext;

pub(super) fn routes() -> [Route; 3] {
    [
        Route::new(&operations::LIVENESS_DETECTION, detect_liveness),
        Route::new(&operations::PHOTO_VERIFY, verify_photo),
        Route::new(&operations::VIDEO_LIVENESS_DETECTION, detect_video_liveness),
    ]
}

async fn detect_liveness(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    json_to_json(&state, request, async |body: DetectionBody, context| {
        state.bws.detect_liveness(body.into(), context).await
    })
    .await
}

async fn verify_photo(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    json_to_json(&state, request, async |body: VerificationBody, context| {
        state.bws.verify_photo(body.into(), context).await
    })
    .await
}

async fn detect_video_liveness(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    json_to_json(&state, request, async |body: VideoDetectionBody, context| {
        state.bws.detect_video_liveness(body.video(), context).await
    })
    .await
}

/// Answers a request whose body and answer are JSON.
async fn json_to_json<B, A>(
    state: &GatewayState,
    request: Request,
    service: impl AsyncFnOnce(B, &RequestContext) -> Result<A, Fault>,
) -> Response
where
    B: DeserializeOwned + Send + 'static,
    A: Serialize,
{
    let answered = async {
        let Received { body, context, permit: _permit, .. } = receive_whole(state, request).await?;
        let body = json::read(body).await?;
        Ok(answer::text(crate::families::json::answer(&service(body, &context).await?)?))
    };
    answered.await.unwrap_or_else(|fault| answer::refused(&fault, Family::Bws))
}
