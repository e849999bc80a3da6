//! `Idempotency-Key`: a creating call that is sent again makes nothing twice and gets the first answer.

use crate::fault::Fault;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use faceline_gateway_store::idempotency::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::Caller;
use crate::http::State;
use crate::http::answer::{Answer, Cause, NO_STORE, Refusal};
use crate::sessions::{Claimed, IdempotencyClaim, IdempotentRequest};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// In bytes.
const LONGEST_KEY: usize = 255;
/// Answers of creating calls are short: a place, or an error object.
const LONGEST_ANSWER: usize = 64 << 10;

/// A creating call, as it is recognised when it comes again.
pub(in crate::http) struct CreatingCall {
    operation: &'static str,
    /// Of the caller's choice; what is wrong with it is looked at once it is known who calls.
    key: Result<Option<String>, Fault>,
    path: String,
}

/// Marks a response whose answer was given before, for usage records.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Repeated;

/// An answer as it is kept.
#[derive(Deserialize, Serialize)]
struct KeptAnswer {
    status: u16,
    location: Option<String>,
    content_type: Option<String>,
    body: Bytes,
}

impl CreatingCall {
    /// The call that `request` makes.
    pub(in crate::http) fn of(operation: &'static str, request: &Request) -> Self {
        Self { operation, key: key(request.headers()), path: request.uri().path().to_owned() }
    }

    /// Does `work`, which is given the id of what it is to make, unless a call with the same key has done it. Two calls
    /// are the same where `body` is.
    pub(in crate::http) async fn once(
        self,
        state: &State,
        caller: &Caller,
        body: impl FnOnce() -> Digest,
        work: impl AsyncFnOnce(Uuid) -> Answer<Response>,
    ) -> Answer<Response> {
        let Some(key) = self.key? else {
            return work(Uuid::new_v4()).await;
        };
        let request = IdempotentRequest {
            client: &caller.client,
            operation: self.operation,
            key: &key,
            path: &self.path,
            body: body(),
        };
        match state.biometric.claim_idempotency(&request).await? {
            Claimed::Acquired(claim) => {
                let answer = work(claim.resource()).await;
                conclude(claim, answer.unwrap_or_else(Refusal::into_response)).await
            }
            Claimed::Completed(kept) => replay(kept),
        }
    }
}

/// The key of a request, where it has one.
fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=LONGEST_KEY).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Fault::Invalid(format!(
            "Idempotency-Key must be there once, with 1 to {LONGEST_KEY} visible ASCII characters"
        ))),
    }
}

/// Keeps the answer, unless it says that it is worth trying again.
async fn conclude(claim: IdempotencyClaim, response: Response) -> Answer<Response> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        claim.release().await;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, LONGEST_ANSWER).await.map_err(|error| {
        tracing::error!(%error, "an answer is too long to be kept");
        Fault::Internal
    })?;
    let header = |name| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let kept = KeptAnswer {
        status: status.as_u16(),
        location: header(header::LOCATION),
        content_type: header(header::CONTENT_TYPE),
        body: body.clone(),
    };
    claim.complete(&kept).await;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(kept: KeptAnswer) -> Answer<Response> {
    let response = Response::builder()
        .status(kept.status)
        .header(REPLAYED, HeaderValue::from_static("true"))
        .header(header::CACHE_CONTROL, NO_STORE);
    let headers = [(header::LOCATION, kept.location), (header::CONTENT_TYPE, kept.content_type)];
    let response = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(response, |response, (name, value)| response.header(name, value));
    let mut response = response.body(Body::from(kept.body)).map_err(|error| {
        tracing::error!(%error, "a kept answer cannot be given");
        Fault::Internal
    })?;
    response.extensions_mut().insert(Repeated);
    if !response.status().is_success() {
        response.extensions_mut().insert(Cause("repeated"));
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
        let longest = [b'a'; LONGEST_KEY];
        assert!(key(&headers(&[&longest])).is_ok());
        for wrong in
            [&headers(&[b""]), &headers(&[b"a", b"a"]), &headers(&[&[b'a'; 256]]), &headers(&[b"\xe4"])]
        {
            assert!(matches!(key(wrong), Err(Fault::Invalid(_))), "{wrong:?}");
        }
    }
}
