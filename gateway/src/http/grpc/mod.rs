//! gRPC over the same listener as everything else.
//!
//! The calls of BWS are read by code of our own: room is taken for a message as it comes, also for what is compressed in it, and
//! every fault has the status that the texts give it. Health and reflection, which everybody may ask, are tonic's.

mod health;
mod message;
mod reflection;
mod timeout;

use std::convert::Infallible;
use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(super) use self::message::{LONGEST, PREFIX, read};
pub(super) use self::timeout::deadline;
use super::State;
use super::answer::Outcome;

/// The media type of all gRPC.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GZIP: &str = "gzip";
/// How messages may be compressed.
const ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip");

/// What everybody may ask.
pub(super) fn routes(state: &State) -> Router<Arc<State>> {
    health::routes(&state.readiness).merge(reflection::routes())
}

/// Whether the headers announce gRPC with messages of protocol buffers.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// Checks that a request is gRPC, and compressed in a way that is known.
pub(super) fn require_grpc(headers: &HeaderMap) -> Result<(), Fault> {
    if !is_grpc(headers) {
        return Err(Fault::Invalid("Content-Type must be application/grpc".into()));
    }
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"gzip") => Ok(()),
        Some(_) => Err(Fault::NotImplemented("Messages may be compressed with gzip only.".into())),
    }
}

/// Whether messages of a request may be compressed.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(ENCODING).is_some_and(|encoding| encoding == GZIP)
}

/// Whether the caller reads compressed messages.
pub(super) fn reads_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|encoding| encoding.trim() == GZIP)
}

/// The answer to a call that went well: a message, and `trailers` behind it.
pub(super) fn answered(
    message: &impl Message,
    mut trailers: HeaderMap,
    reads_gzip: bool,
) -> Result<Response, Fault> {
    let bytes = message::write(message, reads_gzip).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Fault::Internal
    })?;
    trailers.insert(STATUS, HeaderValue::from(Code::Ok as i32));
    let frames = [Frame::data(bytes), Frame::trailers(trailers)].map(Ok::<Frame<Bytes>, Infallible>);
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(ACCEPT_ENCODING, ENCODINGS);
    if reads_gzip {
        headers.insert(ENCODING, HeaderValue::from_static(GZIP));
    }
    Ok(response)
}

/// The answer to a call that is not done.
pub(super) fn refused(fault: &Fault) -> Response {
    let row = fault.row();
    let retry = fault.retry_after_seconds().map(std::time::Duration::from_secs);
    let status = match retry {
        Some(retry) => {
            let details = ErrorDetails::with_retry_info(Some(retry));
            Status::with_error_details(code(row.grpc as i32), fault.to_string(), details)
        }
        None => Status::new(code(row.grpc as i32), fault.to_string()),
    };
    let mut response = status.into_http::<Body>();
    response.headers_mut().insert(ACCEPT_ENCODING, ENCODINGS);
    let outcome = StatusCode::from_u16(row.bws_rest).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(Outcome(outcome));
    response
}

fn code(code: i32) -> Code {
    Code::from_i32(code)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::fault::BusyCause;

    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_messages_of_protocol_buffers_are_taken() {
        let kind = |value| is_grpc(&with(header::CONTENT_TYPE, value));
        assert!(kind("application/grpc") && kind("application/grpc+proto") && kind("Application/gRPC; x=y"));
        assert!(!kind("application/json") && !kind("application/grpc-web") && !kind("application/grpc+json"));
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn an_unknown_compression_is_not_implemented() {
        let mut headers = with(header::CONTENT_TYPE, "application/grpc");
        assert!(require_grpc(&headers).is_ok() && !is_compressed(&headers));
        for (value, is_known) in [("identity", true), ("gzip", true), ("br", false), ("GZIP,", false)] {
            headers.insert(ENCODING, HeaderValue::from_static(value));
            assert_eq!(require_grpc(&headers).is_ok(), is_known, "{value}");
        }
        headers.insert(ENCODING, HeaderValue::from_static("zstd"));
        assert_eq!(require_grpc(&headers).unwrap_err().row().grpc as u8, 12);
    }

    #[test]
    fn a_caller_says_what_it_reads() {
        for (value, expected) in [("gzip", true), ("identity, deflate,gzip", true), ("identity", false)] {
            assert_eq!(reads_gzip(&with(ACCEPT_ENCODING, value)), expected, "{value}");
        }
        assert!(!reads_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_refusal_says_when_to_come_again_and_what_it_comes_to() {
        for (cause, code, outcome) in [
            (BusyCause::ClientRate, Code::ResourceExhausted, 429),
            (BusyCause::Wait, Code::Unavailable, 503),
            (BusyCause::BrokerUnreachable, Code::Unavailable, 503),
        ] {
            let response = refused(&Fault::busy(cause, Duration::from_millis(2100)));
            let status = Status::from_header_map(response.headers()).unwrap();
            assert_eq!(status.code(), code);
            assert!(!status.message().is_empty());
            let retry = status.get_error_details().retry_info().unwrap().retry_delay;
            assert_eq!(retry, Some(Duration::from_secs(3)));
            assert_eq!(super::super::answer::outcome(&response), outcome);
            assert_eq!(response.status(), 200);
        }
        let response = refused(&Fault::Invalid("wörds\n".into()));
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "wörds\n"));
        assert!(status.details().is_empty());
    }
}
