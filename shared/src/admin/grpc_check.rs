//! `grpc.health.v1.Health/Check` on the operators' listener, for probes of orchestrators.
//!
//! This module encodes and decodes the two messages by hand. They have one field each, and workers need no gRPC library
//! otherwise.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Body, Frame};

use super::health::HealthSubject;
use super::readiness::Readiness;

/// Path of the method.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
/// The largest request, in bytes.
const MAX_REQUEST_BYTES: usize = 4 << 10;
/// Length in bytes of the prefix of a message: its compression flag and its length.
const PREFIX_BYTES: usize = 5;
/// Key of the only field of a request: number 1, a text.
const SERVICE_FIELD: u8 = 0x0a;
/// Key of the only field of an answer: number 1, an integer.
const STATUS_FIELD: u8 = 0x08;
const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;

/// Status codes of gRPC.
#[derive(Clone, Copy)]
enum GrpcStatus {
    Ok = 0,
    InvalidArgument = 3,
    NotFound = 5,
}

/// Answers a request.
pub(super) async fn answer<B>(
    request: Request<B>,
    readiness: &Readiness,
) -> Response<BoxBody<Bytes, Infallible>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let Some(service) = service(&body) else { return failed(GrpcStatus::InvalidArgument) };
    let subject = str::from_utf8(service).ok().and_then(|name| HealthSubject::of_service(name, &[]));
    let Some(subject) = subject else { return failed(GrpcStatus::NotFound) };
    let status = if subject.is_serving(readiness) { SERVING } else { NOT_SERVING };
    let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, STATUS_FIELD, status]);
    let trailers = HeaderMap::from_iter([status_header(GrpcStatus::Ok)]);
    let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
    response(StreamBody::new(stream::iter(frames)).boxed())
}

/// The service's name in a request. `None` if the request is malformed.
fn service(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    let length = u32::try_from(message.len()).ok()?;
    if prefix[0] != 0 || prefix[1..] != length.to_be_bytes() {
        return None;
    }
    match message {
        [] => Some(b""),
        // The length of a name below 128 bytes takes one byte.
        [SERVICE_FIELD, length @ ..=0x7f, name @ ..] if usize::from(*length) == name.len() => Some(name),
        _ => None,
    }
}

fn status_header(code: GrpcStatus) -> (header::HeaderName, HeaderValue) {
    (header::HeaderName::from_static("grpc-status"), HeaderValue::from(code as u16))
}

fn failed(code: GrpcStatus) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = response(Full::default().boxed());
    response.headers_mut().extend([status_header(code)]);
    response
}

fn response(body: BoxBody<Bytes, Infallible>) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status codes of gRPC and of health.
    async fn ask(body: &'static [u8], readiness: &Readiness) -> (u8, Option<u8>) {
        let request = Request::new(Full::new(Bytes::from_static(body)));
        let (parts, body) = answer(request, readiness).await.into_parts();
        assert_eq!(parts.headers[header::CONTENT_TYPE], "application/grpc");
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = trailers.get("grpc-status").or(parts.headers.get("grpc-status")).unwrap();
        (status.to_str().unwrap().parse().unwrap(), body.to_bytes().last().copied())
    }

    #[tokio::test]
    async fn it_says_what_the_pages_say() {
        let readiness = Readiness::new();
        let condition = readiness.condition("models");
        let (all, live, ready) =
            (&b"\0\0\0\0\0"[..], &b"\0\0\0\0\x0a\x0a\x08liveness"[..], &b"\0\0\0\0\x0b\x0a\x09readiness"[..]);
        for (body, expected) in [(all, NOT_SERVING), (ready, NOT_SERVING), (live, SERVING)] {
            assert_eq!(ask(body, &readiness).await, (0, Some(expected)), "{body:?}");
        }
        condition.set(true);
        for body in [all, ready, live] {
            assert_eq!(ask(body, &readiness).await, (0, Some(SERVING)), "{body:?}");
        }
        assert_eq!(ask(b"\0\0\0\0\x04\x0a\x02ab", &readiness).await, (5, None));
    }

    #[tokio::test]
    async fn what_is_not_of_the_form_is_refused() {
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\0",
            b"\0\0\0\0\x01",
            b"\0\0\0\0\x02\x0a\x05",
            b"\0\0\0\0\x02\x10\0",
        ] {
            assert_eq!(ask(body, &Readiness::new()).await, (3, None), "{body:?}");
        }
    }
}
