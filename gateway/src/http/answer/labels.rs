//! Marks on an answer for metrics, logs and usage records. Callers do not see them.

use axum::response::Response;
use http::StatusCode;

/// The cause of a refusal.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct CauseLabel(pub(in crate::http) &'static str);

/// The HTTP status that an error over gRPC stands for. The HTTP status of a gRPC answer itself is always 200.
#[derive(Clone, Copy, Debug)]
pub(super) struct GrpcErrorStatus(pub(super) StatusCode);

/// The HTTP status of an answer, or the one that its gRPC error stands for.
pub(in crate::http) fn effective_status(response: &Response) -> StatusCode {
    response.extensions().get().map_or(response.status(), |GrpcErrorStatus(status)| *status)
}
