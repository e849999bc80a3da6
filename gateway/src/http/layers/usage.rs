//! Writes the usage record of a request before its answer is sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, StatusCode};
use tokio::time::timeout;
use uuid::Uuid;

use super::request_id::RequestId;
use crate::http::answer::{self, CauseLabel};
use crate::http::family::Family;
use crate::http::intake::idempotency::AlreadyAnswered;
use crate::http::{GatewayState, operations};
use crate::request::record::{RequestFacts, RequestRecord};
use crate::timestamp::Timestamp;
use crate::usage::{Usage, UsageRecord};

const REFERENCE_NUMBER: HeaderName = HeaderName::from_static("reference-number");
/// The outcome of a request that got the answer of an earlier one.
const REPEATED: &str = "repeated";
/// Maximum characters of a reference number; a longer one is cut.
const MAX_REFERENCE_CHARS: usize = 256;

/// The HTTP status in the record of a request whose caller left before the answer. nginx logs the same number.
const CALLER_LEFT_STATUS: u16 = 499;
/// The outcome for a caller who left before the work was done. A job that was on its way is cancelled.
const CALLER_LEFT: &str = "caller_left";
/// The outcome for a caller who left after the work was done and before the answer was ready.
const CALLER_LEFT_AFTER_WORK: &str = "caller_left_after_work";
/// Maximum characters of a caller's identifier; a longer one is cut.
const MAX_IDENTIFIER_CHARS: usize = 1024;

/// Writes the record of a request whose handler is cancelled because its caller has left.
struct RequestInProgress {
    state: Arc<GatewayState>,
    record: RequestRecord,
    family: Family,
    operation: &'static str,
    request: Option<String>,
    reference_number: Option<String>,
    is_answered: bool,
}

impl RequestInProgress {
    /// The record of the answer, if the request has one. Refused requests are counted in metrics only, because a
    /// flood of refusals must not become a flood of writes to the store.
    fn answered(&self, response: &Response) -> Option<UsageRecord> {
        let status = answer::effective_status(response);
        if matches!(
            status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            return None;
        }
        let is_repeated = response.extensions().get::<AlreadyAnswered>().is_some();
        let cause = response.extensions().get().map(|CauseLabel(cause)| *cause);
        let outcome = if is_repeated { REPEATED } else { cause.unwrap_or("ok") };
        let record = self.record(status.as_u16(), outcome)?;
        Some(UsageRecord { job: record.job.filter(|_| !is_repeated), ..record })
    }

    /// The record of a request that was received as a whole, and whose caller left.
    fn abandoned(&self) -> Option<UsageRecord> {
        let RequestFacts { is_received, is_work_done, .. } = self.record.facts();
        let outcome = if is_work_done { CALLER_LEFT_AFTER_WORK } else { CALLER_LEFT };
        self.record(CALLER_LEFT_STATUS, outcome).filter(|_| is_received)
    }

    /// A record; `None` for a request without a valid credential.
    fn record(&self, status: u16, outcome: &str) -> Option<UsageRecord> {
        let RequestFacts { caller, job, session, correlation_id, evidence_id, .. } = self.record.facts();
        let caller = caller?;
        let cut = |text: String| text.chars().take(MAX_IDENTIFIER_CHARS).collect::<String>();
        Some(UsageRecord {
            id: Uuid::now_v7(),
            time: Timestamp::now(),
            client: caller.client.as_ref().to_owned(),
            key: caller.key_id.as_ref().to_owned(),
            family: self.family.as_str().to_owned(),
            operation: self.operation.to_owned(),
            status,
            outcome: outcome.to_owned(),
            request: self.request.clone(),
            job,
            session,
            reference_number: self.reference_number.clone(),
            correlation_id: correlation_id.map(cut),
            evidence_id: evidence_id.map(cut),
        })
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        if let Some(record) = self.abandoned() {
            // Nobody waits for the write.
            drop(self.state.usage.write(record));
        }
    }
}

pub(in crate::http) async fn usage(
    State(state): State<Arc<GatewayState>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(record) = RequestRecord::current() else { return next.run(request).await };
    let reference_number = request.headers().get(REFERENCE_NUMBER).and_then(|value| value.to_str().ok());
    let mut in_progress = RequestInProgress {
        state,
        record,
        family: Family::of(request.uri().path()),
        operation: operations::name(&request),
        request: request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()),
        reference_number: reference_number.map(|text| text.chars().take(MAX_REFERENCE_CHARS).collect()),
        is_answered: false,
    };
    let response = next.run(request).await;
    in_progress.is_answered = true;
    if let Some(record) = in_progress.answered(&response) {
        // The task writes the record even if the caller leaves meanwhile.
        let written = in_progress.state.usage.write(record);
        if timeout(Usage::longest_wait(), written).await.is_err() {
            tracing::warn!("an answer does not wait any longer for its usage record");
        }
    }
    response
}
