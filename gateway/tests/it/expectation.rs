//! `Expect: 100-continue`: the gateway invites a caller to send its body when a handler reads it, and never before a
//! refusal.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::form;
use crate::gateway::Gateway;
use crate::workers::Workers;

const FACES: &str = "/bioserver-app/v2/faces";
const LONG: Duration = Duration::from_secs(20);

/// A connection over HTTP/2.
async fn connect(gateway: &Gateway) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn body() -> Bytes {
    form(&[("imageType", b"SELFIE"), ("image", b"x")]).into()
}

fn request(gateway: &Gateway, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::post(format!("http://{}{FACES}", gateway.address))
        .header("Content-Type", "multipart/form-data; boundary=b")
        .header("Content-Length", body().len());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// The status of the next interim answer; `None` if the final one comes first.
async fn invited(answer: &mut ResponseFuture) -> Option<StatusCode> {
    let interim = timeout(LONG, poll_fn(|context| answer.poll_informational(context))).await.unwrap();
    interim.map(|interim| interim.unwrap().status())
}

#[tokio::test]
async fn a_caller_is_invited_over_http_2_and_then_served() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut sender = connect(&gateway).await;
    for expectation in ["100-continue", "100-Continue"] {
        let headers = [("apikey", "demo"), ("Expect", expectation)];
        let (mut answer, mut stream) = sender.send_request(request(&gateway, &headers), false).unwrap();
        assert_eq!(invited(&mut answer).await, Some(StatusCode::CONTINUE));
        stream.send_data(body(), true).unwrap();
        assert_eq!(timeout(LONG, answer).await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_refused_caller_is_not_invited_and_its_connection_goes_on() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut sender = connect(&gateway).await;
    for _ in 0..2 {
        let headers = [("Expect", "100-continue")];
        let (mut answer, mut stream) = sender.send_request(request(&gateway, &headers), false).unwrap();
        assert_eq!(invited(&mut answer).await, None);
        let refused = timeout(LONG, answer).await.unwrap().unwrap();
        assert_eq!(refused.status(), 401);
        let mut answer = refused.into_body();
        while let Some(bytes) = answer.data().await {
            bytes.unwrap();
        }
        // The caller keeps the stream open, and the gateway ends it without an error.
        let reset = timeout(LONG, poll_fn(|context| stream.poll_reset(context))).await.unwrap();
        assert_eq!(reset.unwrap(), h2::Reason::NO_ERROR);
    }
}

#[tokio::test]
async fn a_caller_who_does_not_ask_is_not_invited() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut sender = connect(&gateway).await;
    for expectation in [&[("apikey", "demo")][..], &[("apikey", "demo"), ("Expect", "miracles")]] {
        let (mut answer, mut stream) = sender.send_request(request(&gateway, expectation), false).unwrap();
        stream.send_data(body(), true).unwrap();
        assert_eq!(invited(&mut answer).await, None);
        assert_eq!(timeout(LONG, answer).await.unwrap().unwrap().status(), 200);
    }
}
