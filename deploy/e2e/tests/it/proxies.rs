//! A gateway behind a proxy: it distinguishes callers by their own addresses, and connections to it stay open.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::haproxy::HaProxy;
use crate::process::Process;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for a request's headers. It is shorter than the pause between two requests.
const HEADER_TIMEOUT: &str = "1s";
const PAUSE: Duration = Duration::from_millis(2500);

async fn gateway(folder: &TempDir, more: &[(&str, &str)]) -> Process {
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("http.trusted_proxies", r#"["127.0.0.1"]"#),
        ("http.header_timeout", HEADER_TIMEOUT),
        ("limits.failed_logins", "3"),
    ];
    Process::start("faceline-gateway", &[&settings, more].concat()).await
}

/// A caller at an address of the loopback network.
fn caller(last: u8) -> Client {
    let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    Client::builder().local_address(address).build().unwrap()
}

/// The status of a Face Liveness request with this password: 400 if it is right, since there is no picture.
async fn login(caller: &Client, balancer: &HaProxy, password: &str, forged: &str) -> StatusCode {
    let url = format!("http://{}/api/v1/face/liveness", balancer.address);
    let request = caller.post(url).basic_auth("demo", Some(password));
    let forged = request.header("X-Forwarded-For", forged).header("Content-Type", "application/json");
    forged.body("{}").send().await.unwrap().status()
}

/// Asserts that guesses from one address lock out neither callers at another address, nor the addresses that the
/// guesser forges.
async fn guesses_count_by_the_callers_address(balancer: &HaProxy, gateway: &mut Process) {
    let (honest, guessing) = (caller(3), caller(2));
    assert_eq!(login(&honest, balancer, "demo", "127.0.0.2").await, StatusCode::BAD_REQUEST);
    let mut seen = Vec::new();
    for at in 0..5 {
        seen.push(login(&guessing, balancer, "guess", &format!("192.0.2.{at}")).await.as_u16());
    }
    assert_eq!(seen, [401, 401, 401, 429, 429]);
    let refused = gateway.logged_where(|line| line["cause"] == "failed_logins").await;
    assert_eq!(refused["span"]["caller_address"].as_str(), Some("127.0.0.2"), "{refused}");
    assert_eq!(login(&guessing, balancer, "demo", "127.0.0.3").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(login(&honest, balancer, "demo", "127.0.0.2").await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_proxy_protocol_of_a_real_proxy_tells_callers_apart() {
    let folder = TempDir::new().unwrap();
    let mut gateway = gateway(&folder, &[("http.proxy_protocol", "true")]).await;
    let server = gateway.url().await.replace("http://", "");
    // HAProxy opens the connections of its health check for itself (the command LOCAL of the PROXY protocol).
    let balancer = HaProxy::start(
        "    mode tcp",
        "",
        &format!(
            "    option httpchk GET /readyz\n    http-check expect status 200\n    \
             server one {server} send-proxy-v2 check inter 300ms fall 1"
        ),
    )
    .await;
    guesses_count_by_the_callers_address(&balancer, &mut gateway).await;

    // Connections from the proxy's address are closed if the header is missing or invalid.
    for bytes in [&b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"] {
        let mut stream = TcpStream::connect(&server).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("the connection goes on");
        assert!(answer.is_empty(), "{answer:?}");
    }
    gateway.metric_reaches("faceline_http_proxy_headers_refused_total", 2.0).await;
    // Callers from other addresses, such as an orchestrator's probes, send no such header.
    let direct = caller(9).get(format!("http://{server}/readyz")).send().await.unwrap();
    assert_eq!(direct.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_header_of_a_real_proxy_tells_callers_apart() {
    let folder = TempDir::new().unwrap();
    let mut gateway = gateway(&folder, &[]).await;
    let server = gateway.url().await.replace("http://", "");
    let balancer = HaProxy::start(
        "    mode http",
        "    option forwardfor",
        &format!("    option httpchk GET /readyz\n    server one {server} check inter 300ms fall 1"),
    )
    .await;
    guesses_count_by_the_callers_address(&balancer, &mut gateway).await;
    // The header does not count if it comes from an untrusted address.
    let direct = caller(5).get(format!("http://{server}/bioserver-app/v2/capabilities"));
    let refused =
        direct.header("apikey", "wrong").header("X-Forwarded-For", "192.0.2.1").send().await.unwrap();
    let id = refused.headers()["x-request-id"].to_str().unwrap().to_owned();
    let line = gateway.logged_where(|line| line["span"]["request_id"] == id).await;
    assert_eq!(line["span"]["caller_address"], "127.0.0.5");
}

#[tokio::test]
async fn a_proxy_keeps_its_idle_connection_to_a_gateway() {
    let folder = TempDir::new().unwrap();
    let mut gateway = gateway(&folder, &[]).await;
    let server = gateway.url().await.replace("http://", "");
    // Without checks and retries there is a single connection, and its end would be an error. HAProxy itself would
    // close connections that it has not needed lately (`pool-purge-delay`).
    let backend = format!("    server one {server} pool-max-conn 1 pool-low-conn 1 pool-purge-delay 10m");
    let balancer = HaProxy::start("    mode http\n    retries 0\n    http-reuse always", "", &backend).await;
    let caller = caller(2);
    for _ in 0..3 {
        let url = format!("http://{}/livez", balancer.address);
        assert_eq!(caller.get(url).send().await.unwrap().status(), StatusCode::OK);
        // The test is about the passing of time, so there is no event to wait for.
        sleep(PAUSE).await;
        assert!(gateway.metric("faceline_http_connections").await >= 1.0, "the idle connection was closed");
    }
}
