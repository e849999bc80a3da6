//! The headers of every answer of BWS, errors included: the job's id, the version, the time it took, and the caller's
//! own number of the request.
//!
//! Over gRPC they are sent before the message (initial metadata) and again after it (trailers): clients read either.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use faceline_shared::job::JobId;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use crate::http::family::Family;

const JOB_ID: HeaderName = HeaderName::from_static("jobid");
const VERSION: HeaderName = HeaderName::from_static("bws-version");
const RESPONSE_TIME: HeaderName = HeaderName::from_static("response-time-ms");
const REFERENCE_NUMBER: HeaderName = HeaderName::from_static("reference-number");
/// The names of these headers.
pub(super) const NAMES: [HeaderName; 4] = [JOB_ID, VERSION, RESPONSE_TIME, REFERENCE_NUMBER];

/// The facts about a request that these headers show. The layer adds them to the request's extensions.
#[derive(Clone, Debug)]
pub(in crate::http) struct BwsHeaders {
    received: Instant,
    job: JobId,
    reference_number: HeaderValue,
}

/// Adds the headers to answers at paths of BWS.
pub(in crate::http) async fn bws_headers(mut request: Request, next: Next) -> Response {
    if !matches!(Family::of(request.uri().path()), Family::Bws | Family::Grpc) {
        return next.run(request).await;
    }
    let headers = BwsHeaders::of(request.headers());
    // Also for a request that is refused before it makes a job: the id in its answer leads to the refusal in the log.
    Span::current().record("job", tracing::field::display(headers.job));
    request.extensions_mut().insert(headers.clone());
    let mut response = next.run(request).await;
    response.headers_mut().extend(headers.now());
    response
}

impl BwsHeaders {
    /// Begins to measure the response time of a request, and gives it the id of its job.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Self {
        // Other bytes are allowed in a header, but not in a gRPC trailer.
        let is_text = |value: &&HeaderValue| value.to_str().is_ok_and(|text| !text.contains('\t'));
        let reference_number = headers.get(REFERENCE_NUMBER).filter(is_text);
        Self {
            received: Instant::now(),
            job: Uuid::now_v7(),
            reference_number: reference_number.cloned().unwrap_or(HeaderValue::from_static("")),
        }
    }

    /// The time at which the request arrived.
    pub(in crate::http) fn received(&self) -> Instant {
        self.received
    }

    /// The id of the request's job.
    pub(in crate::http) fn job(&self) -> JobId {
        self.job
    }

    /// The headers of an answer that is sent now.
    pub(in crate::http) fn now(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(NAMES.len());
        headers.insert(JOB_ID, job_id(self.job));
        headers.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
        let milliseconds = u64::try_from(self.received.elapsed().as_millis()).unwrap_or(u64::MAX);
        headers.insert(RESPONSE_TIME, HeaderValue::from(milliseconds));
        headers.insert(REFERENCE_NUMBER, self.reference_number.clone());
        headers
    }
}

/// The job's id, whose hexadecimal digits and dashes are always a valid header.
fn job_id(job: JobId) -> HeaderValue {
    HeaderValue::from_str(&job.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
