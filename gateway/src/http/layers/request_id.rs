//! `X-Request-Id`: the caller's id if it is safe in a log line, otherwise a new one.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

const NAME: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 128;

/// The request's id.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

pub(in crate::http) async fn request_id(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(NAME)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_safe(text))
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(NAME, value);
    }
    response
}

fn is_safe(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use tower::ServiceExt as _;

    use super::*;

    async fn echoed(id: Option<&str>) -> String {
        let mut request = Request::new(Body::empty());
        if let Some(id) = id {
            request.headers_mut().insert(NAME, HeaderValue::from_str(id).unwrap());
        }
        let router = Router::new().layer(from_fn(request_id));
        let response = router.oneshot(request).await.unwrap();
        response.headers()[NAME].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_sane_id_is_echoed_and_anything_else_replaced() {
        assert_eq!(echoed(Some("order-17.b:2/x+y=")).await, "order-17.b:2/x+y=");
        for other in [None, Some(""), Some("a b"), Some("a\"b"), Some(&"a".repeat(129))] {
            assert!(echoed(other).await.parse::<Uuid>().is_ok(), "{other:?}");
        }
    }
}
