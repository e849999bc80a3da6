//! `grpc.health.v1.Health/Check`, for probes of orchestrators.
//!
//! Its two messages have one field each, so that no program which has an operators' listener needs a library for gRPC.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Body, Frame};

use super::Readiness;

/// Where it is asked for.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The longest request.
const LONGEST: usize = 4 << 10;
/// What is before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// The key of the one field of a request: number 1, a text.
const SERVICE: u8 = 0x0a;
/// The key of the one field of an answer: number 1, a number.
const STATUS: u8 = 0x08;
const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;

/// Statuses of gRPC.
#[derive(Clone, Copy)]
enum Code {
    Ok = 0,
    InvalidArgument = 3,
    NotFound = 5,
}

/// Answers a request: `liveness` is /livez, `readiness` and no name are /readyz.
pub(super) async fn check<B>(
    request: Request<B>,
    readiness: &Readiness,
) -> Response<BoxBody<Bytes, Infallible>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(request.into_body(), LONGEST).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let is_serving = match service(&body) {
        Some(b"liveness") => true,
        Some(b"" | b"readiness") => readiness.is_ready(),
        Some(_) => return failed(Code::NotFound),
        None => return failed(Code::InvalidArgument),
    };
    let status = if is_serving { SERVING } else { NOT_SERVING };
    let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, STATUS, status]);
    let trailers = HeaderMap::from_iter([of(Code::Ok)]);
    let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
    response(StreamBody::new(stream::iter(frames)).boxed())
}

/// The name in a request; `None` where the request is not of the form.
fn service(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let length = u32::try_from(message.len()).ok()?;
    if prefix[0] != 0 || prefix[1..] != length.to_be_bytes() {
        return None;
    }
    match message {
        [] => Some(b""),
        // A name below 128 bytes has a length of one.
        [SERVICE, length @ ..=0x7f, name @ ..] if usize::from(*length) == name.len() => Some(name),
        _ => None,
    }
}

fn of(code: Code) -> (header::HeaderName, HeaderValue) {
    (header::HeaderName::from_static("grpc-status"), HeaderValue::from(code as u16))
}

fn failed(code: Code) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = response(Full::default().boxed());
    response.headers_mut().extend([of(code)]);
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

    /// Status of gRPC, and of health.
    async fn asked(body: &'static [u8], readiness: &Readiness) -> (u8, Option<u8>) {
        let request = Request::new(Full::new(Bytes::from_static(body)));
        let (parts, body) = check(request, readiness).await.into_parts();
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
            assert_eq!(asked(body, &readiness).await, (0, Some(expected)), "{body:?}");
        }
        condition.set(true);
        for body in [all, ready, live] {
            assert_eq!(asked(body, &readiness).await, (0, Some(SERVING)), "{body:?}");
        }
        assert_eq!(asked(b"\0\0\0\0\x04\x0a\x02ab", &readiness).await, (5, None));
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
            assert_eq!(asked(body, &Readiness::new()).await, (3, None), "{body:?}");
        }
    }
}
