//! The operations by which pages measure a network.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::get;
use crate::client::{Answer, request, send};
use crate::gateway::Gateway;
use crate::workers::Workers;

const SPEED: &str = "/video-server/network-speed";
const PAGE: (&str, &str) = ("Origin", "https://anywhere.example");

fn assert_for_pages(answer: &Answer) {
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
}

#[tokio::test]
async fn every_page_may_measure_speed_and_latency_and_ask_for_relays() {
    let gateway = Gateway::start(Workers::able()).await;
    let upload = send(gateway.address, &format!("POST {SPEED}"), &[PAGE], &[7; 300_000]).await;
    assert_eq!((upload.status, upload.json()), (200, json!({"bytes": 300_000})));
    let latency = get(&gateway, "/video-server/network-latency", &[PAGE]).await;
    assert_eq!((latency.status, latency.json()), (200, json!({})));
    let relays = get(&gateway, "/video-server/coturnService?bioSessionId=x", &[PAGE]).await;
    assert_eq!((relays.status, relays.json()), (200, json!({"iceServers": []})));
    let download = get(&gateway, SPEED, &[PAGE]).await;
    assert_eq!((download.status, download.header("content-length")), (200, Some("1048576")));
    for answer in [&upload, &latency, &relays, &download] {
        assert_for_pages(answer);
    }
    for path in ["/video-server/v2/capabilities", "/video-server/capabilities", "/video-server/v2/monitor"] {
        let answer = get(&gateway, path, &[PAGE]).await;
        assert_eq!(answer.json(), json!({"version": env!("CARGO_PKG_VERSION")}), "{path}");
        assert_for_pages(&answer);
    }
}

#[tokio::test]
async fn an_upload_is_bounded_and_an_address_has_a_rate() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let line = format!(
        "POST {SPEED} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(line.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n", &[7; 0x10_0000][..], b"\r\n"].concat();
    for _ in 0..9 {
        // The gateway may have answered and closed the connection.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(Answer::parse(&answer).error().0, 413);

    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(get(&gateway, SPEED, &[]).await.status);
    }
    assert!(statuses[..12].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let refused = send(gateway.address, &format!("POST {SPEED}"), &[PAGE], b"x").await;
    assert_eq!(refused.error(), (429, "the request rate of this address is exceeded".into()));
    let counted = r#"faceline_http_refusals_total{cause="address_rate",operation="network_upload"} 1"#;
    assert!(gateway.metrics.encode().contains(counted), "uploads and downloads count together");
    // Other operations for the same address are not affected.
    assert_eq!(get(&gateway, "/video-server/network-latency", &[]).await.status, 200);
}

#[tokio::test]
async fn pages_may_upload_any_kind_of_body_after_asking() {
    let gateway = Gateway::start(Workers::able()).await;
    let headers = [
        PAGE,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let bytes = request(&format!("OPTIONS {SPEED}"), &headers, b"");
    let answer = crate::client::exchange(gateway.address, &bytes).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1));
    assert_eq!(answer.header("access-control-allow-private-network"), Some("true"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}
