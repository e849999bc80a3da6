//! The description of the API, for programs and for people: a page on which each operation can be tried.
//!
//! The page is Swagger UI, which the program brings along. Nothing comes from elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use faceline_shared::settings::HttpSettings;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};
use utoipa_swagger_ui::Config;

use super::operation;
use crate::http::answer::Answer;
use crate::http::{State, openapi};

const PAGE: &str = include_str!("index.html");
const START: &str = include_str!("start.js");

/// The page runs its own scripts and calls its own service, nothing else. Styles are also set by the scripts, and
/// pictures of answers are shown from memory.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A new program may bring a new page.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes, where the settings want them.
pub(in crate::http) fn routes(settings: &HttpSettings) -> Router<Arc<State>> {
    if !settings.has_docs() {
        return Router::new();
    }
    Router::new()
        .route(operation::OPENAPI, get(openapi))
        .route(operation::DOCS_BARE, get(async || Redirect::permanent(operation::DOCS)))
        .route(operation::DOCS, get(async || file("index.html")))
        .route(operation::DOCS_FILE, get(other_file))
}

async fn openapi() -> Response {
    answer("application/json", Body::from(openapi::text()))
}

/// A path that is no text names nothing.
async fn other_file(name: Result<Path<String>, PathRejection>) -> Answer<Response> {
    file(name.as_ref().map_or("", |Path(name)| name))
}

fn file(name: &str) -> Answer<Response> {
    match name {
        "index.html" => Ok(answer("text/html; charset=utf-8", Body::from(PAGE))),
        "start.js" => Ok(answer("text/javascript; charset=utf-8", Body::from(START))),
        "swagger-ui.css" => packed(name, "text/css; charset=utf-8"),
        "swagger-ui-bundle.js" => packed(name, "text/javascript; charset=utf-8"),
        _ => Err(Fault::NotFound("there is nothing at this path".into()).into()),
    }
}

/// A file of Swagger UI. It is kept compressed, as every browser takes it.
fn packed(name: &str, media_type: &'static str) -> Answer<Response> {
    let found = utoipa_swagger_ui::serve(name, Arc::new(Config::default())).ok().flatten();
    let Some(found) = found else {
        tracing::error!(name, "a file of Swagger UI is missing");
        return Err(Fault::Internal.into());
    };
    let body = match found.bytes {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = answer(media_type, body);
    if found.gzpipped {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn answer(media_type: &'static str, body: Body) -> Response {
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, CACHED),
    ]);
    (headers, body).into_response()
}
