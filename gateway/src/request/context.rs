//! One request, as everything behind the listener knows it.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::job::JobId;
use faceline_shared::telemetry::TraceContext;

use crate::admission::RequestFingerprint;

/// Whose request it is.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The job's id.
    pub job: JobId,
    /// The client.
    pub client: Arc<str>,
    /// What the request is recognised by when it comes again.
    pub fingerprint: RequestFingerprint,
    /// The request's trace.
    pub trace: TraceContext,
    /// How long the caller waits, where it says so (a gRPC deadline).
    pub timeout: Option<Duration>,
}
