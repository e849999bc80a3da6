//! The part of a request that its job needs.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::job::JobId;
use faceline_shared::telemetry::TraceContext;

use crate::admission::RequestFingerprint;

/// What a family's service needs to know of a request in order to make a job of it.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The id of the job, if the request makes one.
    pub job: JobId,
    /// The client that sent the request.
    pub client: Arc<str>,
    /// Recognises the request when its caller retries it.
    pub fingerprint: RequestFingerprint,
    /// The trace that the request belongs to.
    pub trace: TraceContext,
    /// How long the caller waits for the answer, where it says so (a gRPC deadline).
    pub timeout: Option<Duration>,
}
