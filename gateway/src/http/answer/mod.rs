//! Writes answers: `success` for requests that succeeded, `refusal` for those that were refused or failed.
//!
//! Each API family has its own error format: `error_body` for JSON, `grpc_error` for gRPC. `labels` are the marks
//! on an answer that metrics and usage records read; `refusal_log` bounds the log lines of refusals in an overload.

mod error_body;
mod grpc_error;
mod json_body;
mod labels;
mod refusal;
mod refusal_log;
mod success;

pub(in crate::http) use self::error_body::{BwsError, ErrorObject, status};
pub(in crate::http) use self::json_body::NO_STORE;
pub(in crate::http) use self::labels::{CauseLabel, effective_status};
pub(in crate::http) use self::refusal::{Answer, Refusal, refused, refused_with};
pub(in crate::http) use self::success::{accepted, binary, created, json, no_content, picture, text};
