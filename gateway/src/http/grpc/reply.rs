//! The answer to a gRPC call that succeeded.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use tonic::Code;

use super::headers::{ACCEPT_ENCODING, ENCODING, GZIP, SUPPORTED_ENCODINGS};
use super::message;
use crate::fault::Fault;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// One message, compressed where the caller accepts that, with the status "ok" and `trailers` after it.
///
/// # Errors
/// [`Fault::Internal`] for a message that cannot be written.
pub(in crate::http) fn reply(
    message: &impl Message,
    mut trailers: HeaderMap,
    compress: bool,
) -> Result<Response, Fault> {
    let bytes = message::write(message, compress).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Fault::Internal
    })?;
    trailers.insert(STATUS, HeaderValue::from(Code::Ok as i32));
    let frames = [Frame::data(bytes), Frame::trailers(trailers)].map(Ok::<Frame<Bytes>, Infallible>);
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(ACCEPT_ENCODING, SUPPORTED_ENCODINGS);
    if compress {
        headers.insert(ENCODING, HeaderValue::from_static(GZIP));
    }
    Ok(response)
}
