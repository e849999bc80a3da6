//! Handlers of replays and of web capture.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use faceline_gateway_store::idempotency;
use faceline_gateway_store::sessions::SessionName;
use http::{HeaderName, HeaderValue, header};

use super::route::Route;
use super::sessions::{PathParams, session, text_in_path};
use super::web::for_pages;
use crate::families::biometric::NewReplay;
use crate::fault::Fault;
use crate::http::answer::{self, Answer};
use crate::http::intake::CAPTURE_TOKEN;
use crate::http::intake::idempotency::IdempotentCall;
use crate::http::intake::receive::{Received, receive_json, receive_without_body};
use crate::http::{GatewayState, operations};

type SharedState = State<Arc<GatewayState>>;

/// The header that states since when an operation is deprecated (RFC 9745): 2026-01-01, before the first version of
/// this service.
const DEPRECATION: (HeaderName, &str) = (HeaderName::from_static("deprecation"), "@1767225600");

pub(super) fn routes() -> [Route; 10] {
    [
        Route::new(&operations::INIT_REPLAY, init_replay),
        Route::new(&operations::GET_REPLAY_PARAMETERS, read_parameters),
        Route::new(&operations::GET_REPLAY_STATUS, read_status),
        Route::new(&operations::GET_REPLAY_STATUS_V2, read_status_v2),
        Route::new(&operations::INIT_WEB_CAPTURE, init_web_capture),
        Route::new(&operations::GET_CHALLENGE_RESULT, read_result),
        Route::new(&operations::GET_CHALLENGE_RESULT_OF_MODE, read_result_of_mode),
        Route::new(&operations::VIDEO_CAPABILITIES, capabilities),
        Route::new(&operations::VIDEO_CAPABILITIES_UNVERSIONED, capabilities),
        Route::new(&operations::VIDEO_MONITOR, capabilities),
    ]
}

async fn init_replay(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { body, caller, permit: _permit, .. } = receive_json(&state, request).await?;
    let name = session(&caller, &path)?;
    let NewReplay { answer, capture_token } =
        state.biometric.init_replay(&name, &caller.key_id, &body).await?;
    with_token(answer::text(answer), &capture_token)
}

async fn read_parameters(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.replay_parameters(&session(&caller, &path)?).await?))
}

async fn read_status(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.replay_status(&session(&caller, &path)?).await?))
}

async fn read_status_v2(state: SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let successor = request.uri().path().replacen("/v2/", "/v3/", 1);
    let mut response = read_status(state, path, request).await?;
    let (name, since) = DEPRECATION;
    response.headers_mut().insert(name, HeaderValue::from_static(since));
    if let Ok(link) = HeaderValue::try_from(format!("<{successor}>; rel=\"successor-version\"")) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

async fn init_web_capture(State(state): SharedState, request: Request) -> Answer<Response> {
    let call = IdempotentCall::of(&request)?;
    let Received { body, caller, permit: _permit, .. } = receive_json(&state, request).await?;
    let create = async |id| {
        let name = SessionName { client: caller.client.as_ref().to_owned(), id };
        let new = state.biometric.init_web_capture(&name, &caller.key_id, body.clone()).await?;
        with_token(answer::created(&format!("/v2/bio-sessions/{id}"))?, &new.capture_token)
    };
    call.answer_once(&state, &caller, || idempotency::digest([&*body]), create).await
}

async fn read_result(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.challenge_result(&session(&caller, &path)?).await?))
}

async fn read_result_of_mode(
    State(state): SharedState,
    path: PathParams,
    request: Request,
) -> Answer<Response> {
    let count = query_value(request.uri().query(), operations::NUMBER_OF_CHALLENGE).map(str::to_owned);
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    let name = session(&caller, &path)?;
    let [mode, level] = [operations::MODE, operations::LEVEL].map(|name| text_in_path(&path, name));
    let result = state.biometric.challenge_result_of(&name, mode?, level?, count.as_deref()).await?;
    Ok(answer::text(result))
}

async fn capabilities(State(state): SharedState) -> Answer<Response> {
    Ok(for_pages(answer::json(&state.biometric.video_capabilities())?))
}

/// Adds the capture token to an answer.
fn with_token(mut response: Response, token: &str) -> Answer<Response> {
    let mut value = HeaderValue::from_str(token).map_err(|error| {
        tracing::error!(%error, "a capture token cannot be written");
        Fault::Internal
    })?;
    value.set_sensitive(true);
    response.headers_mut().insert(CAPTURE_TOKEN, value);
    Ok(response)
}

/// A value of a query that is not empty.
fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value)
}
