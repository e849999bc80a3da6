//! Headers that BWS adds to the answer of a request that succeeded; over gRPC they are trailers.

use axum::extract::Request;
use faceline_shared::job::JobId;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::request::RequestContext;

const JOB_ID: HeaderName = HeaderName::from_static("jobid");
const VERSION: HeaderName = HeaderName::from_static("bws-version");
const RESPONSE_TIME: HeaderName = HeaderName::from_static("response-time-ms");
const REFERENCE_NUMBER: HeaderName = HeaderName::from_static("reference-number");

/// What these headers need to know of the request.
pub(super) struct AnswerHeaders {
    received: Instant,
    reference_number: Option<HeaderValue>,
}

impl AnswerHeaders {
    /// Begins to measure the response time of `request`.
    pub(super) fn of(request: &Request) -> Self {
        // Other bytes are allowed in a header, but not in a gRPC trailer.
        let is_text = |value: &&HeaderValue| value.to_str().is_ok_and(|text| !text.contains('\t'));
        let reference_number = request.headers().get(REFERENCE_NUMBER).filter(is_text).cloned();
        Self { received: Instant::now(), reference_number }
    }

    /// When the request arrived.
    pub(super) fn received(&self) -> Instant {
        self.received
    }

    /// The headers of an answer that is sent now.
    pub(super) fn finish(self, context: &RequestContext) -> HeaderMap {
        let Self { received, reference_number } = self;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(JOB_ID, job_id(context.job));
        headers.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
        let milliseconds = u64::try_from(received.elapsed().as_millis()).unwrap_or(u64::MAX);
        headers.insert(RESPONSE_TIME, HeaderValue::from(milliseconds));
        headers.insert(REFERENCE_NUMBER, reference_number.unwrap_or(HeaderValue::from_static("")));
        headers
    }
}

/// The job's id, whose hexadecimal digits and dashes are always a valid header.
fn job_id(job: JobId) -> HeaderValue {
    HeaderValue::from_str(&job.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
