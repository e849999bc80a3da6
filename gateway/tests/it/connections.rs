//! Connections behind load balancers: their lifetime, their end, and their callers' addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::settings::TlsSettings;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::generate_simple_self_signed;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::client::{Answer, get, read_one, request};
use crate::gateway::Gateway;
use crate::log;
use crate::workers::Workers;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
/// The header of PROXY protocol 2 for a caller at 192.0.2.1.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x01\x12\x67\x1f\x90";
/// The same header for a connection of the proxy itself.
const PROXY_V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Connects from an address of the loopback network.
async fn connect_from(gateway: &Gateway, source: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(gateway.address).await.unwrap()
}

/// Reads until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A connection with unread bytes is reset.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection goes on");
    bytes
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_headers() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.header_timeout = SHORT).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(LIVEZ).await.unwrap();
        assert_eq!(read_one(&mut stream).await.status, 200);
        // The time itself is tested here.
        sleep(2 * SHORT).await;
    }
    // The time for the next request starts with its first byte.
    let started = Instant::now();
    stream.write_all(&LIVEZ[..20]).await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_request_whose_bytes_drip_between_two_requests_is_given_up() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.header_timeout = SHORT).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(LIVEZ).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 200);
    let started = Instant::now();
    let drips = async {
        while stream.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    };
    timeout(LONG, drips).await.expect("the connection goes on");
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_body_after_its_answer_is_not_taken_for_the_next_request() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.header_timeout = SHORT).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head =
        "POST /bioserver-app/v2/faces HTTP/1.1\r\nHost: x\r\napikey: wrong\r\nContent-Length: 20\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 401);
    stream.write_all(&[b'x'; 20]).await.unwrap();
    sleep(2 * SHORT).await;
    stream.write_all(LIVEZ).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 200);
}

#[tokio::test]
async fn proxies_open_connections_in_advance() {
    let gateway = Gateway::with(Workers::able(), |config| {
        config.http.header_timeout = SHORT;
        config.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let mut stranger = connect_from(&gateway, [127, 0, 0, 2]).await;
    let mut proxy = connect_from(&gateway, [127, 0, 0, 1]).await;
    assert_eq!(rest(&mut stranger).await, b"", "a stranger has no longer");
    sleep(SHORT).await;
    proxy.write_all(LIVEZ).await.unwrap();
    assert_eq!(read_one(&mut proxy).await.status, 200);
}

#[tokio::test]
async fn an_old_connection_announces_its_end_and_loses_no_request() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.max_connection_age = SHORT).await;
    let ask_until_closed = async |stream: &mut TcpStream| {
        loop {
            stream.write_all(LIVEZ).await.unwrap();
            let answer = read_one(stream).await;
            assert_eq!(answer.status, 200);
            if answer.header("connection") == Some("close") {
                return;
            }
            sleep(SHORT / 3).await;
        }
    };
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    timeout(LONG, ask_until_closed(&mut stream)).await.expect("it never gets old");
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn a_listener_that_shuts_down_serves_on_for_the_delay() {
    const DELAY: Duration = Duration::from_secs(2);
    let gateway = Gateway::with(Workers::able(), |config| config.http.shutdown_delay = Some(DELAY)).await;
    let address = gateway.address;
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let http2_ended = tokio::spawn(connection);
    let livez = || Request::get(format!("http://{address}/livez")).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(http2.send_request(livez()).await.unwrap().status(), 200);

    let started = Instant::now();
    gateway.shutdown.cancel();
    // At first no connection is closed: a balancer that has not noticed the shutdown would only send the callers
    // back.
    for _ in 0..3 {
        kept.write_all(LIVEZ).await.unwrap();
        let answer = read_one(&mut kept).await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
        assert_eq!(get(address, "/livez").await.status, 200, "a new connection");
    }
    assert!(started.elapsed() < DELAY / 2, "too late to show anything");
    // Then connections are closed: over HTTP/2 by GOAWAY, over HTTP/1.1 with an answer.
    timeout(LONG, http2_ended).await.expect("HTTP/2 goes on").unwrap().unwrap();
    assert!(started.elapsed() >= DELAY / 2 && started.elapsed() < DELAY, "{:?}", started.elapsed());
    for stream in [&mut kept, &mut silent, &mut TcpStream::connect(address).await.unwrap()] {
        stream.write_all(LIVEZ).await.unwrap();
        let answer = read_one(stream).await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert_eq!(rest(stream).await, b"");
    }
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let http2_ended = tokio::spawn(connection);
    assert_eq!(http2.send_request(livez()).await.unwrap().status(), 200, "a new connection serves one");
    timeout(LONG, http2_ended).await.expect("HTTP/2 goes on").unwrap().unwrap();
    timeout(LONG, gateway.serving).await.unwrap().unwrap();
    assert!(started.elapsed() >= DELAY, "{:?}", started.elapsed());
    assert!(TcpStream::connect(address).await.is_err());
}

/// The caller's address in the log line about a request with this id.
async fn logged_address(gateway: &Gateway, lines: &log::Lines, id: &str) -> String {
    let line = || lines.find(|line| line["error_id"].is_string() && line["span"]["request_id"] == id);
    gateway.until(async || line().is_some()).await;
    line().unwrap()["span"]["caller_address"].as_str().unwrap().to_owned()
}

/// Sends a request with a wrong key over a connection, and returns the caller's address from the log.
async fn address_of_request(
    gateway: &Gateway,
    lines: &log::Lines,
    stream: &mut TcpStream,
    headers: &[(&str, &str)],
) -> String {
    let path = "GET /bioserver-app/v2/capabilities";
    let bytes = request(path, &[&[("apikey", "wrong")], headers].concat(), b"");
    stream.write_all(&bytes).await.unwrap();
    let answer = read_one(stream).await;
    assert_eq!(answer.status, 401);
    logged_address(gateway, lines, answer.header("x-request-id").unwrap()).await
}

#[tokio::test]
async fn the_word_of_trusted_proxies_is_in_the_log() {
    let lines = log::lines();
    let gateway = Gateway::with(Workers::able(), |config| {
        config.http.trusted_proxies = ["127.0.0.1", "10.0.0.0/8"].map(|text| text.parse().unwrap()).into();
    })
    .await;
    for (source, headers, expected) in [
        ([127, 0, 0, 1], &[("X-Forwarded-For", "198.51.100.9, 192.0.2.1, 10.1.1.1")][..], "192.0.2.1"),
        ([127, 0, 0, 1], &[("Forwarded", "for=\"[2001:db8::1]:4711\";proto=https")], "2001:db8::1"),
        ([127, 0, 0, 1], &[], "127.0.0.1"),
        ([127, 0, 0, 2], &[("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")], "127.0.0.2"),
    ] {
        let mut stream = connect_from(&gateway, source).await;
        let logged = address_of_request(&gateway, &lines, &mut stream, headers).await;
        assert_eq!(logged, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_connection_of_a_proxy_begins_with_its_header() {
    let lines = log::lines();
    let gateway = Gateway::with(Workers::able(), |config| {
        config.http.header_timeout = SHORT;
        config.http.proxy_protocol = true;
        config.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    for (source, header, expected) in [
        ([127, 0, 0, 1], PROXY_V2, "192.0.2.1"),
        ([127, 0, 0, 1], b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n", "2001:db8::1"),
        ([127, 0, 0, 1], PROXY_V2_LOCAL, "127.0.0.1"),
        ([127, 0, 0, 2], b"", "127.0.0.2"),
    ] {
        let mut stream = connect_from(&gateway, source).await;
        stream.write_all(header).await.unwrap();
        // The address of a proxied connection is not that of a proxy, so its header does not count.
        let headers = [("X-Forwarded-For", "198.51.100.9")];
        let headers = if expected == "127.0.0.1" { &[][..] } else { &headers };
        let logged = address_of_request(&gateway, &lines, &mut stream, headers).await;
        assert_eq!(logged, expected);
    }

    // The header arrives byte by byte, and HTTP follows immediately.
    let mut stream = connect_from(&gateway, [127, 0, 0, 1]).await;
    for byte in PROXY_V2 {
        stream.write_all(&[*byte]).await.unwrap();
    }
    stream.write_all(LIVEZ).await.unwrap();
    assert_eq!(read_one(&mut stream).await.status, 200);

    for wrong in [
        LIVEZ,
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        // The header is incomplete, and the time for it is limited.
        &PROXY_V2[..20],
        b"",
    ] {
        let mut stream = connect_from(&gateway, [127, 0, 0, 1]).await;
        stream.write_all(wrong).await.unwrap();
        assert_eq!(rest(&mut stream).await, b"", "{wrong:?}");
    }
    let refused = "faceline_http_proxy_headers_refused_total 5";
    assert!(gateway.metrics.encode().contains(refused), "{}", gateway.metrics.encode());
    // From an unknown address the header is neither trusted nor valid HTTP.
    let mut stranger = connect_from(&gateway, [127, 0, 0, 2]).await;
    stranger.write_all(&[PROXY_V2, LIVEZ].concat()).await.unwrap();
    let answer = rest(&mut stranger).await;
    assert!(answer.is_empty() || Answer::parse(&answer).status == 400, "{answer:?}");
}

#[tokio::test]
async fn the_header_of_a_proxy_comes_before_tls() {
    let folder = TempDir::new().unwrap();
    let certificate = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files =
        TlsSettings { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    std::fs::write(&files.certificate, certificate.cert.pem()).unwrap();
    std::fs::write(&files.key, certificate.signing_key.serialize_pem()).unwrap();
    let gateway = Gateway::with(Workers::able(), |config| {
        config.http.tls = Some(files);
        config.http.proxy_protocol = true;
        config.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(PROXY_V2).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    stream.write_all(&request("GET /livez", &[], b"")).await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);
}
