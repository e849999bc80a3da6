//! CORS: the pages that may read answers in a browser.

use super::with_accounts;
use crate::client::send;
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example";
const SESSION: &str = "00000000-0000-4000-8000-000000000000";

/// Those of `origins` that a preflight for an operation allows.
async fn allowed(gateway: &Gateway, method: &str, path: &str, origins: &[&'static str]) -> Vec<&'static str> {
    let mut allowed = Vec::new();
    for origin in origins {
        let headers = [
            ("Origin", *origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "content-type,x-capture-token"),
        ];
        let answer = send(gateway.address, &format!("OPTIONS {path}"), &headers, b"").await;
        match answer.header("access-control-allow-origin") {
            Some(echoed) if echoed == *origin => {
                let names = answer.header("access-control-allow-headers").unwrap();
                assert!(names.contains("content-type") && names.contains("x-capture-token"), "{names}");
                allowed.push(*origin);
            }
            None => (),
            other => panic!("{other:?}"),
        }
    }
    allowed
}

fn device_calls() -> [(&'static str, String); 3] {
    let v3 = SESSIONS.replace("/v2/", "/v3/");
    [
        ("GET", format!("{SESSIONS}/{SESSION}/liveness-parameters")),
        ("POST", format!("{SESSIONS}/{SESSION}/replay-liveness")),
        ("GET", format!("{v3}/{SESSION}/replay-liveness-metadata")),
    ]
}

#[tokio::test]
async fn capture_pages_may_make_the_calls_of_a_device_and_no_others() {
    let (gateway, _folder) = with_accounts(|config| config.capture.origins = Some(vec![APP.into()])).await;
    for (method, path) in device_calls() {
        assert_eq!(allowed(&gateway, method, &path, &[APP, OTHER, "null"]).await, [APP], "{path}");
    }
    for path in [
        format!("{SESSIONS}/{SESSION}"),
        format!("{SESSIONS}/{SESSION}/faces"),
        format!("{SESSIONS}/{SESSION}/liveness-challenge-result"),
        "/bioserver-app/v2/faces".to_owned(),
        "/video-server/init-liveness-session".to_owned(),
    ] {
        assert_eq!(allowed(&gateway, "GET", &path, &[APP, OTHER]).await, [""; 0], "{path}");
    }
    // The headers that a page must be able to read.
    let path = &device_calls()[0].1;
    let answer = send(gateway.address, &format!("GET {path}"), &[("Origin", APP)], b"").await;
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"), "{exposed}");
}

#[tokio::test]
async fn nothing_is_allowed_where_nothing_is_enabled() {
    let (gateway, _folder) = with_accounts(|_| ()).await;
    for (method, path) in device_calls() {
        assert_eq!(
            allowed(&gateway, method, &path, &[APP, "http://localhost:3000"]).await,
            [""; 0],
            "{path}"
        );
    }
    assert_eq!(allowed(&gateway, "GET", "/video-server/capabilities", &[APP]).await, [""; 0]);
}

#[tokio::test]
async fn pages_on_this_machine_may_capture_in_the_demonstration() {
    let gateway = Gateway::start(Workers::able()).await;
    let origins = ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:1", APP, "null"];
    for (method, path) in device_calls() {
        assert_eq!(allowed(&gateway, method, &path, &origins).await, &origins[..3], "{path}");
    }
}
