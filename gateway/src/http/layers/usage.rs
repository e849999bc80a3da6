//! Writes the usage record of an answer before it is sent.

use std::sync::Arc;

use axum::extract::{self, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, StatusCode};
use uuid::Uuid;

use super::request_id::RequestId;
use crate::http::State;
use crate::http::answer::family::Family;
use crate::http::answer::{self, Cause};
use crate::http::intake::idempotency::Repeated;
use crate::http::routes::operation;
use crate::request::record::{self, Facts};
use crate::timestamp::Timestamp;
use crate::usage::UsageRecord;

const REFERENCE_NUMBER: HeaderName = HeaderName::from_static("reference-number");
/// The outcome of a request whose answer was given before.
const REPEATED: &str = "repeated";
/// Of a reference number; what is longer is cut.
const LONGEST: usize = 256;

pub(in crate::http) async fn usage(
    extract::State(state): extract::State<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let family = Family::of(request.uri().path());
    let extensions = request.extensions();
    let operation = operation::name(request.method(), extensions.get().map(MatchedPath::as_str));
    let id = extensions.get::<RequestId>().map(|RequestId(id)| id.clone());
    let reference_number = request.headers().get(REFERENCE_NUMBER).and_then(|value| value.to_str().ok());
    let reference_number = reference_number.map(|text| text.chars().take(LONGEST).collect());
    let response = next.run(request).await;
    // Who was sent away, for now or for good, was given nothing; metrics count that. A flood of refusals must not become
    // one of writes.
    let status = answer::outcome(&response);
    let is_refused = matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let facts = record::present().unwrap_or_default();
    let Facts { caller: Some(caller), job, session, correlation_id, evidence_id, .. } = facts else {
        return response;
    };
    if is_refused {
        return response;
    }
    let is_repeated = response.extensions().get::<Repeated>().is_some();
    let cause = response.extensions().get().map(|Cause(cause)| *cause);
    let outcome = if is_repeated { REPEATED } else { cause.unwrap_or("ok") };
    let record = UsageRecord {
        id: Uuid::now_v7(),
        time: Timestamp::now(),
        client: caller.client.as_ref().to_owned(),
        key: caller.key_id.as_ref().to_owned(),
        family: family.as_str().to_owned(),
        operation: operation.to_owned(),
        status: status.as_u16(),
        outcome: outcome.to_owned(),
        request: id,
        job: job.filter(|_| !is_repeated),
        session,
        reference_number,
        correlation_id,
        evidence_id,
    };
    state.usage.write(record).await;
    response
}
