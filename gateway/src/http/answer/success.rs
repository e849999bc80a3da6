//! Answers to requests that succeeded.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::json_body::{NO_STORE, json_with_status};
use super::refusal::Answer;
use crate::admission::InFlightPermit;
use crate::families::biometric::FacePicture;
use crate::families::json;
use crate::fault::Fault;

/// Bytes of a picture that are passed to the connection at a time. The permit holds the memory of the whole picture
/// until the last of them is taken.
const PICTURE_CHUNK_BYTES: usize = 64 << 10;

/// 200 with `value` as JSON.
pub(in crate::http) fn json(value: &impl Serialize) -> Answer<Response> {
    Ok(text(json::answer(value)?))
}

/// 200 with JSON that is already serialised.
pub(in crate::http) fn text(json: Vec<u8>) -> Response {
    json_with_status(StatusCode::OK, json)
}

/// 201 without a body, with the path of what was created.
pub(in crate::http) fn created(location: &str) -> Answer<Response> {
    let mut response = without_body(StatusCode::CREATED);
    let location = HeaderValue::from_str(location).map_err(|error| {
        tracing::error!(%error, location, "a location cannot be written");
        Fault::Internal
    })?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// 202 without a body.
pub(in crate::http) fn accepted() -> Response {
    without_body(StatusCode::ACCEPTED)
}

/// 204.
pub(in crate::http) fn no_content() -> Response {
    without_body(StatusCode::NO_CONTENT)
}

fn without_body(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// 200 with a picture. `permit` holds its memory until it is sent.
pub(in crate::http) fn picture(picture: FacePicture, permit: InFlightPermit) -> Answer<Response> {
    let FacePicture { media_type, file } = picture;
    let media_type = HeaderValue::from_str(&media_type).map_err(|error| {
        tracing::error!(%error, media_type, "a media type cannot be written");
        Fault::Internal
    })?;
    let length = file.len();
    let chunks = stream::unfold((file, permit), async |(mut rest, permit): (Bytes, InFlightPermit)| {
        let chunk = rest.split_to(rest.len().min(PICTURE_CHUNK_BYTES));
        (!chunk.is_empty()).then_some((Ok::<_, std::convert::Infallible>(chunk), (rest, permit)))
    });
    let mut response = binary(media_type, Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// 200 with bytes that are neither JSON nor a page, and that no cache keeps.
pub(in crate::http) fn binary(media_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    // A browser must not take an uploaded file for a script or a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
