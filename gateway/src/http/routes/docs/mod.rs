//! The description of the API: openapi.json, and a page on which each operation can be tried.
//!
//! The page is Swagger UI. All its files are in the program; none is loaded from another server.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use faceline_shared::settings::HttpSettings;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};
use utoipa_swagger_ui::Config;

use crate::fault::Fault;
use crate::http::answer::Answer;
use crate::http::openapi;
use crate::http::operations;
use crate::http::routes::route::Route;

const PAGE_HTML: &str = include_str!("index.html");
const START_JS: &str = include_str!("start.js");

/// The page may run scripts and use styles of this service and call this service, nothing else. It shows pictures of
/// answers from `data:` and `blob:` URLs.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Short, since an update of the program may change the page.
const CACHE_POLICY: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes; none where the settings switch the documentation off.
pub(super) fn routes(settings: &HttpSettings) -> Vec<Route> {
    if !settings.has_docs() {
        return Vec::new();
    }
    vec![
        Route::new(&operations::OPENAPI, openapi),
        Route::new(&operations::DOCS_WITHOUT_SLASH, async || Redirect::permanent(operations::DOCS.path)),
        Route::new(&operations::DOCS, async || file("index.html")),
        Route::new(&operations::DOCS_FILE, other_file),
    ]
}

async fn openapi() -> Response {
    answer("application/json", Body::from(openapi::text()))
}

/// A file by its name in the path. A path that is not percent-encoded UTF-8 names none.
async fn other_file(name: Result<Path<String>, PathRejection>) -> Answer<Response> {
    file(name.as_ref().map_or("", |Path(name)| name))
}

fn file(name: &str) -> Answer<Response> {
    match name {
        "index.html" => Ok(answer("text/html; charset=utf-8", Body::from(PAGE_HTML))),
        "start.js" => Ok(answer("text/javascript; charset=utf-8", Body::from(START_JS))),
        "swagger-ui.css" => swagger_ui(name, "text/css; charset=utf-8"),
        "swagger-ui-bundle.js" => swagger_ui(name, "text/javascript; charset=utf-8"),
        _ => Err(Fault::NotFound("there is nothing at this path".into()).into()),
    }
}

/// A file of Swagger UI. It is stored and sent compressed, which every browser accepts.
fn swagger_ui(name: &str, media_type: &'static str) -> Answer<Response> {
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
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, CACHE_POLICY),
    ]);
    (headers, body).into_response()
}
