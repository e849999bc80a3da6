//! The public keys with which callers check signatures.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};

use super::route::Route;
use crate::fault::Fault;
use crate::http::answer::Refusal;
use crate::http::{GatewayState, operations};
use crate::signing::MAX_AGE;

pub(super) fn routes() -> [Route; 2] {
    [Route::new(&operations::JWKS, jwks), Route::new(&operations::SIGNING_CERTIFICATE, certificate)]
}

async fn jwks(State(state): State<Arc<GatewayState>>) -> Result<Response, Refusal> {
    let keys = state.biometric.signer().jwks().map_err(|error| {
        tracing::error!(%error, "the public keys cannot be written");
        Fault::Internal
    })?;
    Ok(public(keys, "application/jwk-set+json"))
}

async fn certificate(State(state): State<Arc<GatewayState>>) -> Response {
    public(state.biometric.signer().certificates().into_bytes(), "application/x-pem-file")
}

/// An answer that caches may keep for as long as the keys are certain to be valid, and that pages of all origins may
/// read.
fn public(bytes: Vec<u8>, content_type: &'static str) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Capture pages of any origin verify the parameters of a replay with these keys.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={}", MAX_AGE.as_secs())) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    response
}
