//! Answers: JSON, and the error object of Biometric Services, which every route without a family of its own uses.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use faceline_shared::error::Fault;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use uuid::Uuid;

use super::refusal_log;
use crate::json;

/// The label of the fault in an answer, for metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause(pub(super) &'static str);

/// 200 with a JSON body.
pub(super) fn json(value: &impl Serialize) -> Result<Response, Refusal> {
    let bytes = json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Fault::Internal
    })?;
    Ok(body(StatusCode::OK, bytes))
}

fn body(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Faces are nobody's to keep on the way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A fault on its way to the caller.
#[derive(Debug)]
pub(super) struct Refusal(Fault);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

#[derive(Serialize)]
struct ErrorObject {
    id: Uuid,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(fault) = self;
        let row = fault.row();
        let status =
            StatusCode::from_u16(row.biometric_services).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = ErrorObject { id: Uuid::new_v4(), message: fault.to_string() };
        let (id, cause, message) = (error.id, row.label, error.message.as_str());
        match row.biometric_services {
            500 => tracing::error!(error_id = %id, cause, message, "request failed"),
            429 | 503 => refusal_log::refused(id, cause, message),
            _ => tracing::info!(error_id = %id, cause, message, "request refused"),
        }
        let mut response = body(status, json::to_vec(&error).unwrap_or_default());
        if let Some(busy) = fault.as_busy() {
            let seconds = HeaderValue::from(busy.retry_after_seconds());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(Cause(row.label));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use faceline_shared::error::BusyCause;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_refusal_has_an_id_a_message_and_the_time_to_come_again() {
        let fault = Fault::busy(BusyCause::QueueFull, Duration::from_millis(2100));
        let response = Refusal(fault).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.extensions().get::<Cause>().unwrap().0, "queue_full");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let object: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(object["id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert!(object["message"].as_str().unwrap().contains("high demand"));
    }
}
