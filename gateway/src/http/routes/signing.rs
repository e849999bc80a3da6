//! The keys that check signatures, for everybody.

use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::extract;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, header};

use super::operation;
use crate::http::State;
use crate::http::answer::Refusal;
use crate::signing::MAX_AGE;

type Shared = extract::State<Arc<State>>;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route(operation::JWKS, get(jwks)).route(operation::SIGNING_CERTIFICATE, get(certificate))
}

async fn jwks(extract::State(state): Shared) -> Result<Response, Refusal> {
    let keys = state.biometric.signer().jwks().map_err(|error| {
        tracing::error!(%error, "the public keys cannot be written");
        Fault::Internal
    })?;
    Ok(public(keys, "application/jwk-set+json"))
}

async fn certificate(extract::State(state): Shared) -> Response {
    public(state.biometric.signer().certificates().into_bytes(), "application/x-pem-file")
}

fn public(bytes: Vec<u8>, content_type: &'static str) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={}", MAX_AGE.as_secs())) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    response
}
