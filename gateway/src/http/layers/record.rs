//! Gives each request a record, which collects facts about it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::request::record::RequestRecord;

pub(in crate::http) async fn record(request: Request, next: Next) -> Response {
    RequestRecord::default().scope(next.run(request)).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::{Router, routing};
    use tower::ServiceExt as _;

    use super::*;
    use crate::http::answer::Refusal;

    #[tokio::test]
    async fn a_request_without_a_record_is_an_error() {
        // Every function that receives a request begins like this.
        let handler = async || -> Result<(), Refusal> {
            RequestRecord::current()?;
            Ok(())
        };
        let router = Router::new().route("/", routing::get(handler));
        let with = router.clone().layer(from_fn(record));
        for (router, status) in [(with, 200), (router, 500)] {
            let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
            assert_eq!(response.status(), status);
        }
    }
}
