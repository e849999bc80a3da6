//! The handler of uploads of replays.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::route::Route;
use super::sessions::{PathParams, session};
use crate::fault::Fault;
use crate::http::answer::{self, Answer};
use crate::http::intake::idempotency::AlreadyAnswered;
use crate::http::intake::receive::Received;
use crate::http::intake::upload::{UploadForm, receive_upload};
use crate::http::{GatewayState, operations};
use crate::replays::{Identity, UploadOutcome};

pub(super) fn routes() -> [Route; 1] {
    [Route::new(&operations::UPLOAD_REPLAY, upload)]
}

async fn upload(
    State(state): State<Arc<GatewayState>>,
    path: PathParams,
    request: Request,
) -> Answer<Response> {
    let counted = state.biometric.replays().count_upload();
    let outcome = receive(&state, &path, request).await;
    counted.end(outcome.as_ref().copied());
    let mut response = answer::accepted();
    if outcome? == UploadOutcome::Repeated {
        response.extensions_mut().insert(AlreadyAnswered);
    }
    Ok(response)
}

/// Receives an upload. Cheap checks come before expensive work: the media is read last.
async fn receive(state: &GatewayState, path: &PathParams, request: Request) -> Result<UploadOutcome, Fault> {
    let Received::<UploadForm> { mut body, caller, context, permit: _permit } =
        receive_upload(state, request).await?;
    let replays = state.biometric.replays();
    let awaited = replays.awaited_upload(&session(&caller, path)?).await?;
    let metadata = body.metadata().await?;
    match replays.identify_upload(awaited, &metadata)? {
        Identity::Repeated => Ok(UploadOutcome::Repeated),
        Identity::New(upload) => {
            body.begin_media().await?;
            replays.receive_upload(*upload, &mut body, context.job, &context.trace).await
        }
    }
}
