//! The description of the API, and the page on which it can be tried.

use crate::client::{Answer, exchange, request};
use crate::gateway::Gateway;
use crate::workers::Workers;

async fn get(gateway: &Gateway, path: &str) -> Answer {
    exchange(gateway.address, &request(&format!("GET {path}"), &[], b"")).await
}

#[tokio::test]
async fn the_description_and_its_page_need_no_key() {
    let gateway = Gateway::start(Workers::able()).await;
    let description = get(&gateway, "/openapi.json").await;
    assert_eq!(description.status, 200);
    assert_eq!(description.header("content-type"), Some("application/json"));
    assert_eq!(format!("{}\n", description.body), include_str!("../../api/openapi.json"));

    let bare = get(&gateway, "/docs").await;
    assert_eq!((bare.status, bare.header("location")), (308, Some("/docs/")));
    for (path, media_type, coding) in [
        ("/docs/", "text/html; charset=utf-8", None),
        ("/docs/index.html", "text/html; charset=utf-8", None),
        ("/docs/start.js", "text/javascript; charset=utf-8", None),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", Some("gzip")),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", Some("gzip")),
    ] {
        let answer = get(&gateway, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        assert_eq!(answer.header("content-encoding"), coding, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    // Neither the other files of Swagger UI nor paths outside are served.
    for path in ["/docs/swagger-initializer.js", "/docs/..%2fopenapi.json", "/docs/a/b", "/docs/%FF"] {
        assert_eq!(
            get(&gateway, path).await.error(),
            (404, "there is nothing at this path".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn operators_may_do_without_the_page() {
    let gateway = Gateway::with(Workers::able(), |config| config.http.docs = Some(false)).await;
    for path in ["/openapi.json", "/docs", "/docs/", "/docs/start.js"] {
        assert_eq!(
            get(&gateway, path).await.error(),
            (404, "there is nothing at this path".into()),
            "{path}"
        );
    }
    assert_eq!(get(&gateway, "/livez").await.status, 200);
}
