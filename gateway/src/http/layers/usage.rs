//! Writes the usage record of a request before its answer is sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, StatusCode};
use uuid::Uuid;

use super::request_id::RequestId;
use crate::http::answer::{self, CauseLabel};
use crate::http::family::Family;
use crate::http::intake::idempotency::AlreadyAnswered;
use crate::http::{GatewayState, operations};
use crate::request::record::{RequestFacts, RequestRecord};
use crate::timestamp::Timestamp;
use crate::usage::UsageRecord;

const REFERENCE_NUMBER: HeaderName = HeaderName::from_static("reference-number");
/// The outcome of a request that got the answer of an earlier one.
const REPEATED: &str = "repeated";
/// Characters of a reference number; a longer one is cut.
const MAX_REFERENCE_CHARS: usize = 256;

pub(in crate::http) async fn usage(
    State(state): State<Arc<GatewayState>>,
    request: Request,
    next: Next,
) -> Response {
    let family = Family::of(request.uri().path());
    let operation = operations::name(&request);
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone());
    let reference_number = request.headers().get(REFERENCE_NUMBER).and_then(|value| value.to_str().ok());
    let reference_number = reference_number.map(|text| text.chars().take(MAX_REFERENCE_CHARS).collect());
    let response = next.run(request).await;
    // Refused requests are counted in metrics only: a flood of refusals must not become a flood of writes to the
    // store.
    let status = answer::effective_status(&response);
    let is_refused = matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let Ok(record) = RequestRecord::current() else { return response };
    let RequestFacts { caller: Some(caller), job, session, correlation_id, evidence_id, .. } = record.facts()
    else {
        return response;
    };
    if is_refused {
        return response;
    }
    let is_repeated = response.extensions().get::<AlreadyAnswered>().is_some();
    let cause = response.extensions().get().map(|CauseLabel(cause)| *cause);
    let outcome = if is_repeated { REPEATED } else { cause.unwrap_or("ok") };
    let usage = UsageRecord {
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
    state.usage.write(usage).await;
    response
}
