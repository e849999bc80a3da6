//! One request, as everything behind the listener knows it.

use std::sync::Arc;
use std::time::Duration;

use faceline_shared::job::JobId;
use faceline_shared::telemetry::TraceContext;

use crate::admission::Visit;

/// Whose request it is.
#[derive(Clone, Debug)]
pub struct Call {
    /// The job's id.
    pub job: JobId,
    /// The client.
    pub client: Arc<str>,
    /// What the request is recognised by when it comes again.
    pub visit: Visit,
    /// The request's trace.
    pub trace: TraceContext,
    /// For how long the caller waits, where it says so (a gRPC deadline).
    pub patience: Option<Duration>,
}
