//! Answers: JSON, and the error object of Biometric Services, which every route without a family of its own uses.

pub(in crate::http) mod family;
mod refusal_log;

use crate::fault::Fault;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use uuid::Uuid;

use super::answer::family::Family;
use super::grpc;
use crate::admission::Ticket;
use crate::families::biometric::FacePicture;
use crate::families::json;

/// Pictures are handed out in pieces of this size, so that the room for one is held until its last piece is taken.
const PIECE: usize = 64 << 10;

/// An answer, or a fault on its way to the caller.
pub(in crate::http) type Answer<T> = Result<T, Refusal>;

/// Faces are nobody's to keep on the way.
pub(in crate::http) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The label of the fault in an answer, for metrics.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Cause(pub(in crate::http) &'static str);

/// What an answer comes to where its HTTP status does not say it: that of gRPC is always 200.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Outcome(pub(in crate::http) StatusCode);

/// What an answer comes to, for metrics and records.
pub(in crate::http) fn outcome(response: &Response) -> StatusCode {
    response.extensions().get().map_or(response.status(), |Outcome(status)| *status)
}

/// 200 with a JSON body.
pub(in crate::http) fn json(value: &impl Serialize) -> Answer<Response> {
    Ok(text(json::answer(value)?))
}

/// 200 with JSON that is text already.
pub(in crate::http) fn text(json: Vec<u8>) -> Response {
    body(StatusCode::OK, json)
}

/// 201 without a body.
pub(in crate::http) fn created(location: &str) -> Answer<Response> {
    let mut response = empty(StatusCode::CREATED);
    let location = HeaderValue::from_str(location).map_err(|error| {
        tracing::error!(%error, location, "a location cannot be written");
        Fault::Internal
    })?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// 204.
pub(in crate::http) fn nothing() -> Response {
    empty(StatusCode::NO_CONTENT)
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// 200 with a picture, whose room in memory `ticket` holds.
pub(in crate::http) fn picture(picture: FacePicture, ticket: Ticket) -> Answer<Response> {
    let FacePicture { media_type, file } = picture;
    let media_type = HeaderValue::from_str(&media_type).map_err(|error| {
        tracing::error!(%error, media_type, "a media type cannot be written");
        Fault::Internal
    })?;
    let length = file.len();
    let pieces = stream::unfold((file, ticket), async |(mut rest, ticket): (Bytes, Ticket)| {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (rest, ticket)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    // What a caller uploaded is shown as what it is, never run.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn body(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// A fault on its way to the caller.
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

/// The answer to a request that is not done, in the words of its family; logged and counted.
pub(in crate::http) fn refused(fault: &Fault, family: Family) -> Response {
    refused_with(fault, family, |id| family.body(id, fault))
}

/// The same with a body of the caller's own making, which gets the fault's id.
pub(in crate::http) fn refused_with(
    fault: &Fault,
    family: Family,
    write: impl FnOnce(Uuid) -> Vec<u8>,
) -> Response {
    let (id, row) = (Uuid::new_v4(), fault.row());
    let (status, cause) = (family.status(&row), row.label);
    let message = fault.to_string();
    match status {
        500 if !matches!(fault, Fault::NotWorking) => {
            tracing::error!(error_id = %id, cause, message, "request failed");
        }
        429 | 503 => refusal_log::refused(id, cause, &message),
        _ => tracing::info!(error_id = %id, cause, message, "request refused"),
    }
    let mut response = match family {
        Family::Grpc => grpc::refused(fault),
        Family::BiometricServices | Family::Bws | Family::FaceLiveness => {
            let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            body(code, write(id))
        }
    };
    family.add_headers(status, response.headers_mut());
    if let Some(seconds) = fault.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Cause(cause));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::fault::BusyCause;
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
