//! Pages and scripts: their headers, entity tags and compression, and where they are served.

use super::{get, with_accounts};
use crate::client::send;
use crate::gateway::Gateway;
use crate::workers::Workers;

const CAPTURE: &str = "/web/capture/";
const SCRIPT: &str = "/video-server/bioserver-video-api.js";
const SDK: &str = "/web/sdk/faceline.js";

#[tokio::test]
async fn pages_and_scripts_have_the_policies_of_their_kind() {
    let gateway = Gateway::start(Workers::able()).await;
    for path in [CAPTURE, "/web/capture/index.html", "/web/playground/"] {
        let answer = get(&gateway, path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert_eq!(
            policy,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(answer.header("permissions-policy"), Some("camera=(self)"), "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
    }
    for path in [SCRIPT, SDK, "/video-server/faceline.js"] {
        let answer = get(&gateway, path, &[("Origin", "https://anywhere.example")]).await;
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"), "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://anywhere.example"), "{path}");
    }
    for path in [CAPTURE, SCRIPT, SDK] {
        let answer = get(&gateway, path, &[]).await;
        for (name, value) in [
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
    for (path, folder) in [
        ("/web/capture", "capture/"),
        ("/web/capture?session=a&lang=fr", "capture/?session=a&lang=fr"),
        ("/web/playground", "playground/"),
    ] {
        let bare = get(&gateway, path, &[]).await;
        assert_eq!((bare.status, bare.header("location")), (308, Some(folder)));
    }
}

#[tokio::test]
async fn a_file_is_sent_once_and_compressed_where_the_browser_takes_that() {
    let gateway = Gateway::start(Workers::able()).await;
    let plain = get(&gateway, SDK, &[]).await;
    let packed = get(&gateway, SDK, &[("Accept-Encoding", "br, gzip")]).await;
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), (None, Some("gzip")));
    for answer in [&plain, &packed] {
        let vary: Vec<_> = answer.headers("vary").flat_map(|line| line.split(',')).map(str::trim).collect();
        assert!(vary.contains(&"accept-encoding"), "{answer:?}");
    }
    let length = |answer: &crate::client::Answer| -> usize {
        answer.header("content-length").unwrap().parse().unwrap()
    };
    assert_eq!(length(&plain), plain.body.len());
    assert!(length(&packed) < length(&plain) / 2);
    let (tag, packed_tag) = (plain.header("etag").unwrap(), packed.header("etag").unwrap());
    assert_ne!(tag, packed_tag, "a strong tag stands for the very bytes");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");

    let again = async |headers: &[(&str, &str)]| get(&gateway, SDK, headers).await;
    for known in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
        let answer = again(&[("If-None-Match", known)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(tag));
        assert_eq!(answer.header("content-type"), None);
    }
    assert_eq!(again(&[("If-None-Match", tag), ("Accept-Encoding", "gzip")]).await.status, 200);
    assert_eq!(again(&[("If-None-Match", packed_tag), ("Accept-Encoding", "gzip")]).await.status, 304);
    assert_eq!(again(&[("If-None-Match", "\"x\"")]).await.status, 200);

    let head = send(gateway.address, &format!("HEAD {SDK}"), &[], b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!((length(&head), head.header("etag")), (length(&plain), Some(tag)));
}

#[tokio::test]
async fn nothing_else_is_there() {
    let gateway = Gateway::start(Workers::able()).await;
    for path in [
        "/web",
        "/web/",
        "/web/capture/nothing.js",
        "/web/capture/../sdk/faceline.js",
        "/web/capture/..%2fsdk%2ffaceline.js",
        "/web/capture/%FF",
        "/web/sdk/",
        "/web/sdk/package.json",
        "/video-server/nothing.js",
        "/video-server/engine.io",
        "/video-server/index.html",
    ] {
        let answer = get(&gateway, path, &[]).await;
        assert_eq!(answer.error(), (404, "there is nothing at this path".into()), "{path}");
    }
    assert_eq!(send(gateway.address, &format!("POST {SCRIPT}"), &[], b"").await.error().0, 405);
}

#[tokio::test]
async fn a_gateway_that_is_no_demonstration_serves_what_its_operator_asked_for() {
    let statuses = async |gateway: &Gateway| {
        let mut statuses = Vec::new();
        for path in [CAPTURE, "/web/playground/", SDK, SCRIPT, "/video-server/network-latency"] {
            statuses.push(get(gateway, path, &[]).await.status);
        }
        statuses
    };
    let (gateway, _folder) = with_accounts(|_| ()).await;
    assert_eq!(statuses(&gateway).await, [404; 5]);
    assert_eq!(get(&gateway, "/video-server/capabilities", &[]).await.status, 200);
    let (gateway, _folder) = with_accounts(|config| config.capture.pages = Some(true)).await;
    assert_eq!(statuses(&gateway).await, [200, 200, 200, 404, 404]);
    let (gateway, _folder) = with_accounts(|config| config.capture.scripts = Some(true)).await;
    assert_eq!(statuses(&gateway).await, [404, 404, 200, 200, 200]);
}

#[tokio::test]
async fn named_origins_may_frame_the_page() {
    let (gateway, _folder) = with_accounts(|config| {
        config.capture.pages = Some(true);
        config.capture.frame_ancestors = vec!["https://app.example".into()];
    })
    .await;
    let answer = get(&gateway, CAPTURE, &[]).await;
    assert!(
        answer.header("content-security-policy").unwrap().ends_with("; frame-ancestors https://app.example")
    );
}
