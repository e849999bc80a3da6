//! `Idempotency-Key`: a request that creates something can be sent again. It creates nothing twice and gets the first
//! answer.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use faceline_gateway_store::idempotency::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::authorize::CAPTURE_TOKEN;
use crate::accounts::Caller;
use crate::fault::Fault;
use crate::http::GatewayState;
use crate::http::answer::{Answer, CauseLabel, NO_STORE, Refusal};
use crate::http::operations::{self, Operation};
use crate::sessions::{Claimed, IdempotencyClaim, IdempotentRequest};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that marks an answer as one that an earlier request with the same key received.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY_BYTES: usize = 255;
/// Maximum bytes of a stored answer. Answers of creating operations are short: a location, or an error object.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// A request of an operation that reads `Idempotency-Key`.
pub(in crate::http) struct IdempotentCall {
    operation: &'static Operation,
    /// The caller's key. A malformed one is refused only after authentication.
    key: Result<Option<String>, Fault>,
    path: String,
}

/// Marks an answer as one that an earlier request with the same key received, for usage records.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct AlreadyAnswered;

/// An answer as the store keeps it.
#[derive(Deserialize, Serialize)]
struct KeptAnswer {
    status: u16,
    location: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    capture_token: Option<String>,
    body: Bytes,
}

impl IdempotentCall {
    /// Reads the key of a request.
    ///
    /// # Errors
    /// [`Fault::Internal`] where the request matches no operation that reads the key.
    pub(in crate::http) fn of(request: &Request) -> Result<Self, Fault> {
        let operation = operations::matched(request.extensions())?;
        if !operation.is_idempotent {
            tracing::error!(
                operation = operation.name,
                "a handler reads Idempotency-Key, its operation does not"
            );
            return Err(Fault::Internal);
        }
        Ok(Self { operation, key: key(request.headers()), path: request.uri().path().to_owned() })
    }

    /// Runs `create` with the id of the resource that it creates, unless a request with the same key was answered
    /// before: then returns that answer. A retry gets the same id. Without a key, `create` always runs.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a malformed key, [`Fault::InProgress`] while another request with the key runs,
    /// [`Fault::KeyReused`] for another path or another `body`, [`Fault::Busy`] while the store is unreachable, and
    /// those of `create`.
    pub(in crate::http) async fn answer_once(
        self,
        state: &GatewayState,
        caller: &Caller,
        body: impl FnOnce() -> Digest,
        create: impl AsyncFnOnce(Uuid) -> Answer<Response>,
    ) -> Answer<Response> {
        let Some(key) = self.key? else {
            return create(Uuid::new_v4()).await;
        };
        let request = IdempotentRequest {
            client: &caller.client,
            operation: self.operation.name,
            key: &key,
            path: &self.path,
            body: body(),
        };
        match state.biometric.claim_idempotency(&request).await? {
            Claimed::Acquired(claim) => {
                let answer = create(claim.resource()).await;
                settle(*claim, answer.unwrap_or_else(Refusal::into_response)).await
            }
            Claimed::Completed(kept) => replay(kept),
        }
    }
}

/// The key of a request, where it has one.
fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=MAX_KEY_BYTES).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Fault::Invalid(format!(
            "Idempotency-Key must be there once, with 1 to {MAX_KEY_BYTES} visible ASCII characters"
        ))),
    }
}

/// Stores the answer for retries: for a day if something was created, for a minute if the request was refused. Answers
/// 429 and 5xx are not stored: the claim ends instead, so the caller can retry.
async fn settle(claim: IdempotencyClaim, response: Response) -> Answer<Response> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        claim.postpone().await;
        return Ok(response);
    }
    if status.is_server_error() {
        // The store may have created the resource although its answer was lost.
        claim.release().await;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| {
        tracing::error!(%error, "an answer is too long to be kept");
        Fault::Internal
    })?;
    let header = |name| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let kept = KeptAnswer {
        status: status.as_u16(),
        location: header(header::LOCATION),
        content_type: header(header::CONTENT_TYPE),
        capture_token: header(HeaderName::from_static(CAPTURE_TOKEN)),
        body: body.clone(),
    };
    if status.is_success() {
        claim.complete(kept).await;
    } else {
        claim.refuse(kept).await;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Builds the response from a stored answer.
fn replay(kept: KeptAnswer) -> Answer<Response> {
    let response = Response::builder()
        .status(kept.status)
        .header(REPLAYED, HeaderValue::from_static("true"))
        .header(header::CACHE_CONTROL, NO_STORE);
    let headers = [
        (header::LOCATION, kept.location),
        (header::CONTENT_TYPE, kept.content_type),
        (HeaderName::from_static(CAPTURE_TOKEN), kept.capture_token),
    ];
    let response = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(response, |response, (name, value)| response.header(name, value));
    let mut response = response.body(Body::from(kept.body)).map_err(|error| {
        tracing::error!(%error, "a kept answer cannot be given");
        Fault::Internal
    })?;
    response.extensions_mut().insert(AlreadyAnswered);
    if !response.status().is_success() {
        response.extensions_mut().insert(CauseLabel("repeated"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (KEY, HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_there_once_and_visible() {
        assert_eq!(key(&headers(&[])), Ok(None));
        assert_eq!(key(&headers(&[b"\"8e03978e\""])), Ok(Some("\"8e03978e\"".to_owned())));
        let longest = [b'a'; MAX_KEY_BYTES];
        assert!(key(&headers(&[&longest])).is_ok());
        for wrong in
            [&headers(&[b""]), &headers(&[b"a", b"a"]), &headers(&[&[b'a'; 256]]), &headers(&[b"\xe4"])]
        {
            assert!(matches!(key(wrong), Err(Fault::Invalid(_))), "{wrong:?}");
        }
    }
}
