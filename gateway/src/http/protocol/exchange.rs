//! One request over HTTP/2, and its answer.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Body as HttpBody;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tokio::sync::oneshot;

use super::answer_body;
use super::drain::{ConnectionDrains, DrainedBody};
use super::error::ConnectionError;
use super::request_body::{Http2Body, expects_continue};
use crate::http::intake::content_type;

/// `Date` by RFC 9110 (5.6.7).
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
/// Headers that HTTP/2 does not have (RFC 9113, 8.2.2).
const CONNECTION_HEADERS: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Resolves when the handler begins to read a body whose caller waits for `100 Continue`.
pub(super) struct ContinueSignal(Option<oneshot::Receiver<()>>);

impl ContinueSignal {
    async fn wanted(&mut self) {
        if let Some(wanted) = &mut self.0 {
            let is_wanted = wanted.await.is_ok();
            self.0 = None;
            if is_wanted {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Gives a request a body that handlers can read. Also returns the signal by which that body asks for `100 Continue`.
pub(super) fn receive(
    request: Request<RecvStream>,
    drains: &ConnectionDrains,
    received_since_ping: &Arc<AtomicBool>,
) -> (Request<Body>, ContinueSignal) {
    let (invite, wanted) = if expects_continue(request.headers()) && !request.body().is_end_stream() {
        let (invite, wanted) = oneshot::channel();
        (Some(invite), Some(wanted))
    } else {
        (None, None)
    };
    let length = content_type::length(request.headers());
    let request = request.map(|stream| {
        let body = Http2Body::new(stream, length, invite, Arc::clone(received_since_ping));
        Body::new(DrainedBody::new(body, drains.clone()))
    });
    (request, ContinueSignal(wanted))
}

/// Runs the handler. Returns its answer; `None` where the caller resets the stream, which cancels the handler.
pub(super) async fn handle<B>(
    handler: impl Future<Output = Result<Response<B>, Infallible>>,
    mut respond: SendResponse<Bytes>,
    mut invitation: ContinueSignal,
) -> Option<Answer<B>> {
    let mut handler = pin!(handler);
    loop {
        tokio::select! {
            biased;
            Ok(response) = &mut handler => return Some(Answer { response, respond }),
            () = invitation.wanted() => {
                let mut invited = Response::new(());
                *invited.status_mut() = StatusCode::CONTINUE;
                if let Err(error) = respond.send_informational(invited) {
                    tracing::debug!(%error, "a caller was not invited to send its body");
                }
            }
            _ = poll_fn(|context| respond.poll_reset(context)) => {
                tracing::debug!("a caller gave up its request");
                return None;
            }
        }
    }
}

/// The answer to a request, and the stream that it is sent on.
pub(super) struct Answer<B> {
    response: Response<B>,
    respond: SendResponse<Bytes>,
}

impl<B> Answer<B>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<ConnectionError>,
{
    /// Sends the headers together with the part of the body that is ready. A task of its own sends the rest.
    ///
    /// The connection's own task calls this, because it cannot write the headers alone meanwhile. curl ends its stream
    /// as soon as it reads the headers of a refusal. h2 resets a stream that ends before its announced length, and a
    /// reset discards a body that is not written yet.
    pub(super) fn send(self) {
        let mut sending = Box::pin(async move {
            if let Err(error) = send(self.response, self.respond).await {
                tracing::debug!(%error, "an answer was not sent");
            }
        });
        if sending.as_mut().now_or_never().is_none() {
            tokio::spawn(sending);
        }
    }
}

async fn send<B>(response: Response<B>, mut respond: SendResponse<Bytes>) -> Result<(), ConnectionError>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<ConnectionError>,
{
    let (mut parts, body) = response.into_parts();
    complete(&mut parts.headers, body.size_hint().exact().filter(|_| !body.is_end_stream()));
    let is_whole = body.is_end_stream();
    match respond.send_response(Response::from_parts(parts, ()), is_whole) {
        Ok(_) if is_whole => Ok(()),
        Ok(stream) => answer_body::send(body, stream).await,
        Err(error) => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            Err(error.into())
        }
    }
}

/// Adds the headers of every answer, and removes those that HTTP/2 does not have. `length` is that of the body in
/// bytes, where it is known.
fn complete(headers: &mut HeaderMap, length: Option<u64>) {
    for name in &CONNECTION_HEADERS {
        headers.remove(name);
    }
    if let Some(length) = length {
        headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    if !headers.contains_key(header::DATE)
        && let Ok(now) = OffsetDateTime::now_utc().format(HTTP_DATE)
        && let Ok(now) = HeaderValue::from_str(&now)
    {
        headers.insert(header::DATE, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_date_and_a_length_and_no_header_of_a_connection() {
        let mut headers = HeaderMap::new();
        for name in CONNECTION_HEADERS {
            headers.insert(name, HeaderValue::from_static("close"));
        }
        complete(&mut headers, Some(7));
        assert_eq!(headers.len(), 2);
        assert_eq!(headers[header::CONTENT_LENGTH], "7");
        let date = headers[header::DATE].to_str().unwrap().to_owned();
        assert!(date.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len() && date.ends_with(" GMT"), "{date}");

        headers.insert(header::DATE, HeaderValue::from_static("its own"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("8"));
        complete(&mut headers, Some(7));
        assert_eq!(
            (headers[header::DATE].as_bytes(), &headers[header::CONTENT_LENGTH]),
            (&b"its own"[..], &HeaderValue::from(8))
        );
    }
}
