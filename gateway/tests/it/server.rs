//! The listener itself: its limits on time, size and number, and its shutdown.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Answer, exchange, get, multipart, post, read_one, request};
use crate::gateway::Gateway;
use crate::workers::Workers;

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);
const FACES: &str = "/bioserver-app/v2/faces";
const GOOD: [(&str, &str); 2] = [("imageType", "SELFIE"), ("image", "x")];

/// Sends bytes, waits until the server closes the connection, and returns the bytes that it sent.
async fn closed_after(gateway: &Gateway, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn liveness_and_readiness_need_no_key() {
    let gateway = Gateway::start(Workers::able()).await;
    gateway.ready.set(false);
    assert_eq!(exchange(gateway.address, &request("GET /livez", &[], b"")).await.status, 200);
    let answer = exchange(gateway.address, &request("GET /readyz", &[], b"")).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "not ready: broker\n"));
    gateway.ready.set(true);
    assert_eq!(exchange(gateway.address, &request("GET /readyz", &[], b"")).await.status, 200);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.header_timeout = SHORT).await;
    // No byte; half of the HTTP/2 preface; half of a request; HTTP/2 without a request.
    for bytes in [
        &b""[..],
        b"PRI * HTTP/2.0\r\n",
        b"GET /livez HTTP/1.1\r\nHost:",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ] {
        let started = Instant::now();
        closed_after(&gateway, bytes).await;
        assert!(started.elapsed() >= SHORT, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let gateway = Gateway::start(Workers::able()).await;
    let long = "x".repeat(20_000);
    let answer = exchange(gateway.address, &request("GET /livez", &[("X-Long", &long)], b"")).await;
    assert_eq!(answer.status, 431);
    let fits = "x".repeat(10_000);
    let answer = exchange(gateway.address, &request("GET /livez", &[("X-Long", &fits)], b"")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.body_timeout = SHORT).await;
    let mut whole = request(
        &format!("POST {FACES}"),
        &[("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")],
        &multipart(&[("name=\"image\"", "x")]),
    );
    whole.truncate(whole.len() - 10);
    let (status, message) = Answer::parse(&closed_after(&gateway, &whole).await).error();
    assert_eq!((status, message.as_str()), (408, "the request's body did not arrive in time"));
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.body_timeout = SHORT).await;
    let head = request(
        &format!("POST {FACES}"),
        &[
            ("apikey", "demo"),
            ("Content-Type", "multipart/form-data; boundary=b"),
            ("Content-Length", "100000"),
        ],
        b"",
    );
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(&head).await.unwrap();
    let drip = tokio::spawn(async move {
        let mut every = tokio::time::interval(SHORT / 10);
        loop {
            every.tick().await;
            if writer.write_all(b"-").await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    timeout(LONG, reader.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(Answer::parse(&answer).error().0, 408);
    drip.abort();
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let whole = request(
        &format!("POST {FACES}"),
        &[("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")],
        &multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]),
    );
    let whole = String::from_utf8(whole).unwrap().replace("Connection: close\r\n", "");
    // A refused request in between does not close the connection either.
    let refused = whole.replace("apikey: demo", "apikey: none");
    for (bytes, status) in [(&whole, 200), (&refused, 401), (&whole, 200)] {
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(read_one(&mut stream).await.status, status);
    }
}

#[tokio::test]
async fn http_2_without_tls_is_served_on_the_same_listener() {
    let gateway = Gateway::start(Workers::able()).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]);
    let post = |key: &str| {
        Request::post(format!("http://{}{FACES}", gateway.address))
            .header("apikey", key)
            .header("Content-Type", "multipart/mixed; boundary=b")
            .body(Full::new(Bytes::from(body.clone())))
            .unwrap()
    };
    let response = sender.send_request(post("demo")).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let face: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(face["quality"], 295);
    assert_eq!(sender.send_request(post("wrong")).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_stream_that_is_reset_frees_its_place_and_its_connection_goes_on() {
    let gateway = Gateway::with(Workers::held(), |config| {
        config.limits.inflight_jobs = 1;
        config.limits.client_share = 1.0;
    })
    .await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]);
    let post = || {
        Request::post(format!("http://{}{FACES}", gateway.address))
            .header("apikey", "demo")
            .header("Content-Type", "multipart/form-data; boundary=b")
            .body(Full::new(Bytes::from(body.clone())))
            .unwrap()
    };
    let call = tokio::spawn(sender.send_request(post()));
    timeout(LONG, gateway.workers.arrived.notified()).await.unwrap();
    assert_eq!(sender.send_request(post()).await.unwrap().status(), 429);
    call.abort();
    timeout(LONG, gateway.workers.given_up.notified()).await.unwrap();
    gateway.workers.permits.add_permits(1);
    assert_eq!(sender.send_request(post()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.max_connections = 2).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(read_one(&mut stream).await.status, 200);
        idle.push(stream);
    }
    let answer = timeout(LONG, get(gateway.address, "/livez")).await.unwrap();
    assert_eq!(answer.status, 200);
    // The connection that was idle longest is closed.
    let mut nothing = Vec::new();
    timeout(LONG, idle[0].read_to_end(&mut nothing)).await.unwrap().unwrap();
    idle[1].write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut idle[1]).await.status, 200);
    assert!(gateway.metrics.encode().contains("faceline_http_connections_shed_total 1"));
}

#[tokio::test]
async fn a_busy_connection_makes_room_when_it_is_done() {
    let gateway = Gateway::with(Workers::held(), |config| config.http.max_connections = 1).await;
    let mut busy = TcpStream::connect(gateway.address).await.unwrap();
    let whole = request(
        &format!("POST {FACES}"),
        &[("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")],
        &multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]),
    );
    let whole = String::from_utf8(whole).unwrap().replace("Connection: close\r\n", "");
    busy.write_all(whole.as_bytes()).await.unwrap();
    gateway.workers.arrived.notified().await;

    let address = gateway.address;
    let mut second = tokio::spawn(async move { get(address, "/livez").await });
    assert!(timeout(SHORT, &mut second).await.is_err(), "it did not wait");
    gateway.workers.permits.add_permits(1);
    assert_eq!(read_one(&mut busy).await.status, 200);
    assert_eq!(timeout(LONG, second).await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_that_only_pings_is_closed() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.idle_timeout = SHORT).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let mut pinging = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    pinging.timer(TokioTimer::new()).keep_alive_interval(SHORT / 10).keep_alive_while_idle(true);
    let (mut sender, connection) = pinging.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let livez =
        Request::get(format!("http://{}/livez", gateway.address)).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(sender.send_request(livez).await.unwrap().status(), 200);
    timeout(LONG, connection).await.expect("it goes on").unwrap().unwrap();
}

#[tokio::test]
async fn an_old_connection_ends_and_what_is_under_way_on_it_is_answered() {
    let gateway = Gateway::with(Workers::held(), |config| config.http.max_connection_age = SHORT).await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]);
    let post = Request::post(format!("http://{}{FACES}", gateway.address))
        .header("apikey", "demo")
        .header("Content-Type", "multipart/form-data; boundary=b")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let under_way = tokio::spawn(sender.send_request(post));
    gateway.workers.arrived.notified().await;
    // After GOAWAY the client sends no new request.
    let livez =
        || Request::get(format!("http://{}/livez", gateway.address)).body(Full::<Bytes>::default()).unwrap();
    gateway.until(async || sender.send_request(livez()).await.is_err()).await;
    assert!(!under_way.is_finished());
    gateway.workers.permits.add_permits(1);
    assert_eq!(timeout(LONG, under_way).await.unwrap().unwrap().unwrap().status(), 200);
    gateway.until(async || gateway.metrics.encode().contains("faceline_http_connections 0")).await;

    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut idle).await.status, 200);
    let mut nothing = Vec::new();
    timeout(LONG, idle.read_to_end(&mut nothing)).await.unwrap().unwrap();
    assert!(nothing.is_empty());
    assert!(gateway.metrics.encode().contains("faceline_http_connections_aged_total 2"));
}

#[tokio::test]
async fn pages_of_named_origins_may_call_and_no_others() {
    const APP: &str = "https://app.example";
    let gateway = Gateway::with(Workers::able(), |config| {
        config.http.cors_origins = vec!["https://other.example:8443".into(), APP.into()];
    })
    .await;
    let preflight = async |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "apikey,content-type"),
        ];
        exchange(gateway.address, &request(&format!("OPTIONS {FACES}"), &headers, b"")).await
    };
    let allowed = preflight(APP).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(APP)));
    for (name, part) in [
        ("access-control-allow-methods", "post"),
        ("access-control-allow-headers", "apikey"),
        ("access-control-allow-headers", "idempotency-key"),
        ("vary", "origin"),
    ] {
        assert!(allowed.header(name).unwrap().contains(part), "{name}: {allowed:?}");
    }
    for stranger in ["https://evil.example", "http://app.example", "https://app.example.evil", "null"] {
        assert_eq!(preflight(stranger).await.header("access-control-allow-origin"), None, "{stranger}");
    }

    let get = async |origin| {
        let headers = [("Origin", origin), ("apikey", "demo")];
        let line = "GET /bioserver-app/v2/capabilities";
        exchange(gateway.address, &request(line, &headers, b"")).await
    };
    let answer = get(APP).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(APP)));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("location"));
    assert_eq!(get("https://evil.example").await.header("access-control-allow-origin"), None);

    // An OPTIONS request that is not a preflight is a method that the operation does not support.
    let closed = Gateway::start(Workers::able()).await;
    for gateway in [&gateway, &closed] {
        let options = request(&format!("OPTIONS {FACES}"), &[("Origin", APP)], b"");
        assert_eq!(exchange(gateway.address, &options).await.status, 405);
    }
}

#[tokio::test]
async fn what_is_under_way_at_a_shutdown_is_answered() {
    let gateway = Gateway::start(Workers::held()).await;
    let address = gateway.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut idle).await.status, 200);
    let under_way = tokio::spawn(async move { post(address, FACES, &GOOD).await });
    gateway.workers.arrived.notified().await;

    gateway.shutdown.cancel();
    let mut nothing = Vec::new();
    timeout(LONG, idle.read_to_end(&mut nothing)).await.unwrap().unwrap();
    assert!(nothing.is_empty(), "an idle connection is closed at once");
    assert!(!gateway.serving.is_finished());
    gateway.workers.permits.add_permits(1);
    assert_eq!(under_way.await.unwrap().status, 200);
    timeout(LONG, gateway.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_caller_that_hangs_up_gives_its_room_back() {
    let gateway = Gateway::start(Workers::held()).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let whole = request(
        &format!("POST {FACES}"),
        &[("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")],
        &multipart(&[("name=\"imageType\"", "SELFIE"), ("name=\"image\"", "x")]),
    );
    stream.write_all(&whole).await.unwrap();
    gateway.workers.arrived.notified().await;
    assert!(gateway.metrics.encode().contains("faceline_gateway_inflight_jobs 1"));
    drop(stream);
    timeout(LONG, gateway.workers.given_up.notified()).await.unwrap();
    // The job is dropped first and the permit immediately after it, on the connection's own task. Once that task has
    // ended, the permit is released.
    gateway.shutdown.cancel();
    timeout(LONG, gateway.serving).await.unwrap().unwrap();
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains("faceline_gateway_inflight_jobs 0"), "{metrics}");
    assert!(metrics.contains("faceline_gateway_inflight_bytes 0"), "{metrics}");
    assert!(
        metrics.contains(r#"faceline_http_requests_total{operation="create_face",status="499"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_caller_who_still_sends_reads_its_refusal() {
    let gateway = Gateway::start(Workers::able()).await;
    // This is more than the buffers of both systems hold, so the sender is still sending when the answer arrives.
    let body = vec![0; 20 << 20];
    let whole = request(
        &format!("POST {FACES}"),
        &[("apikey", "wrong"), ("Content-Type", "multipart/form-data; boundary=b")],
        &body,
    );
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        // Sending ends with an error, because the server does not read the whole body.
        let _ = writer.write_all(&whole).await;
    });
    let mut answer = vec![0; 4096];
    let length = timeout(LONG, reader.read(&mut answer)).await.unwrap().unwrap();
    assert_eq!(Answer::parse(&answer[..length]).error().0, 401);
    timeout(LONG, sending).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_who_asks_first_is_not_told_to_send() {
    let gateway = Gateway::start(Workers::able()).await;
    let head = |key: &str| {
        request(
            &format!("POST {FACES}"),
            &[
                ("apikey", key),
                ("Content-Type", "multipart/form-data; boundary=b"),
                ("Content-Length", "100"),
                ("Expect", "100-continue"),
            ],
            b"",
        )
    };
    let answer = Answer::parse(&closed_after(&gateway, &head("wrong")).await);
    assert_eq!(answer.error().0, 401);

    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&head("demo")).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
}
