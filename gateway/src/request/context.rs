//! The part of a request that its job needs.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::job::JobId;
use faceline_shared::telemetry::TraceContext;

use crate::admission::RequestFingerprint;

/// The facts about a request that an API family's service needs to make a job of it.
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
    /// Time that the caller waits for the answer, if the request states it (a gRPC deadline).
    pub timeout: Option<Duration>,
}
