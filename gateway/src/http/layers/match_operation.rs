//! Finds the row of the operation that a request asks for, and adds it to the request's extensions for layers and
//! handlers.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::operations;

pub(in crate::http) async fn match_operation(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get().map(MatchedPath::as_str);
    if let Some(operation) = operations::find(request.method(), route) {
        request.extensions_mut().insert(operation);
    }
    next.run(request).await
}
