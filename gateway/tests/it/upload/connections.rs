//! Uploads over connections that are slow, break, wait for `100 Continue`, or use HTTP/2.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::device::Device;
use super::{counted, gateway, refused};
use crate::client::{exchange, read_one, request};
use crate::gateway::Gateway;
use crate::workers::Workers;

const LONG: Duration = Duration::from_secs(60);

/// Sends the beginning of an upload, and waits until it has claimed its replay.
async fn begun(device: &Device<'_>) -> TcpStream {
    let bytes = device.request(&device.upload(500_000).body());
    let mut stream = TcpStream::connect(device.gateway.address).await.unwrap();
    stream.write_all(&bytes[..300_000]).await.unwrap();
    device.gateway.until(async || device.is_uploading().await).await;
    stream
}

#[tokio::test]
async fn a_slow_upload_ends_and_the_device_may_try_again() {
    let gateway = Gateway::with(Workers::able(), |config| config.replay.min_upload_rate = 1 << 20).await;
    let device = Device::new(&gateway).await;
    let started = Instant::now();
    let mut stream = begun(&device).await;
    let answer = timeout(LONG, read_one(&mut stream)).await.unwrap();
    assert_eq!(refused(&answer), (408, "the request's body did not arrive in time".into()));
    assert!(started.elapsed() >= Duration::from_secs(9), "the rate counts over ten seconds");
    assert!(device.is_initialized().await && device.objects().is_empty());
    assert_eq!(device.send(&device.upload(1000).body()).await.status, 202);
    counted(&gateway, "slow_body", 1);
}

#[tokio::test]
async fn a_broken_connection_gives_the_replay_back() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    drop(begun(&device).await);
    gateway.until(async || device.is_initialized().await).await;
    assert_eq!(device.objects(), [""; 0]);
    assert_eq!(device.send(&device.upload(1000).body()).await.status, 202);
}

#[tokio::test]
async fn a_reset_stream_gives_the_replay_back() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let body = device.upload(60_000).body();
    let (answer, mut stream) =
        sender.ready().await.unwrap().send_request(http2_request(&device, &[]), false).unwrap();
    stream.send_data(Bytes::from(body[..30_000].to_vec()), false).unwrap();
    gateway.until(async || device.is_uploading().await).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(answer);
    gateway.until(async || device.is_initialized().await).await;
}

fn http2_request(device: &Device<'_>, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::post(format!("http://{}{}", device.gateway.address, device.path()))
        .header("apikey", "demo")
        .header("Content-Type", "multipart/form-data; boundary=b");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

#[tokio::test]
async fn an_upload_over_http_2_is_invited_and_accepted() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = http2_request(&device, &[("Expect", "100-continue")]);
    let (mut answer, mut stream) = sender.send_request(request, false).unwrap();
    let interim = timeout(LONG, poll_fn(|context| answer.poll_informational(context))).await.unwrap();
    assert_eq!(interim.unwrap().unwrap().status(), StatusCode::CONTINUE);
    let mut body = Bytes::from(device.upload(2_000_000).body());
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = timeout(LONG, poll_fn(|context| stream.poll_capacity(context))).await.unwrap();
        let piece = body.split_to(room.unwrap().unwrap().min(body.len()));
        stream.send_data(piece, body.is_empty()).unwrap();
    }
    assert_eq!(timeout(LONG, answer).await.unwrap().unwrap().status(), 202);
    assert_eq!(device.objects().len(), 1);
}

#[tokio::test]
async fn an_upload_is_invited_only_if_it_is_admitted() {
    let gateway = gateway().await;
    let device = Device::new(&gateway).await;
    let body = device.upload(1000).body();
    let head = |key: &str| {
        let length = body.len().to_string();
        let headers = [
            ("apikey", key),
            ("Content-Type", "multipart/form-data; boundary=b"),
            ("Expect", "100-continue"),
            ("Content-Length", &length),
        ];
        request(&format!("POST {}", device.path()), &headers, b"")
    };
    let refused = exchange(gateway.address, &head("wrong")).await;
    assert_eq!(refused.status, 401, "the first answer is the last: {refused:?}");

    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&head("demo")).await.unwrap();
    let mut invitation = [0; 25];
    timeout(LONG, stream.read_exact(&mut invitation)).await.unwrap().unwrap();
    assert_eq!(&invitation[..], b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).await.unwrap();
    assert_eq!(timeout(LONG, read_one(&mut stream)).await.unwrap().status, 202);
}
