//! Answers to requests that were refused or failed, in the error format of their family; logged and counted.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use uuid::Uuid;

use super::json_body::json_with_status;
use super::labels::CauseLabel;
use super::{error_body, grpc_error, refusal_log};
use crate::fault::Fault;
use crate::http::family::Family;

/// The result of a handler of Biometric Services.
pub(in crate::http) type Answer<T> = Result<T, Refusal>;

/// A fault that is answered in the error format of Biometric Services.
#[derive(Debug)]
pub(in crate::http) struct Refusal(Fault);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refused(&self.0, Family::BiometricServices)
    }
}

/// The answer to a request that was refused or failed, in the error format of its family.
pub(in crate::http) fn refused(fault: &Fault, family: Family) -> Response {
    refused_with(fault, family, |id| error_body::write(family, id, fault))
}

/// The same with the body that `write` makes for the error's id.
pub(in crate::http) fn refused_with(
    fault: &Fault,
    family: Family,
    write: impl FnOnce(Uuid) -> Vec<u8>,
) -> Response {
    let (id, row) = (Uuid::new_v4(), fault.row());
    let (status, cause) = (error_body::status(family, &row), row.label);
    let message = fault.to_string();
    match status {
        500 if !matches!(fault, Fault::NotWorking) => {
            tracing::error!(error_id = %id, cause, message, "request failed");
        }
        429 | 503 => refusal_log::log_overload(id, cause, &message),
        _ => tracing::info!(error_id = %id, cause, message, "request refused"),
    }
    let mut response = match family {
        Family::Grpc => grpc_error::response(fault),
        Family::BiometricServices | Family::Bws | Family::FaceLiveness => {
            let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json_with_status(code, write(id))
        }
    };
    error_body::add_headers(family, status, response.headers_mut());
    if let Some(seconds) = fault.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(CauseLabel(cause));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::fault::BusyCause;

    #[tokio::test]
    async fn a_refusal_has_an_id_a_message_and_the_time_to_come_again() {
        let fault = Fault::busy(BusyCause::QueueFull, Duration::from_millis(2100));
        let response = Refusal(fault).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.extensions().get::<CauseLabel>().unwrap().0, "queue_full");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let object: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(object["id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert!(object["message"].as_str().unwrap().contains("high demand"));
    }
}
