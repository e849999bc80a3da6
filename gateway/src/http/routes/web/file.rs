//! Serves a file with its entity tag, compressed where the browser accepts that, under the policies of its kind.

use std::pin::Pin;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::assets::{Asset, Folder};
use super::embedding::{RESOURCE_POLICY, for_pages};
use crate::fault::Fault;
use crate::http::answer::Answer;
use crate::http::operations;

/// The file that is served at a folder's own path.
const INDEX: &str = "index.html";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// The content policy of a page, which pages of `frame_ancestors` may show in a frame. The page may run scripts and use
/// styles of this service, show pictures and videos that it made itself, and call this service. It may do nothing else.
pub(super) fn content_policy(frame_ancestors: &[String]) -> HeaderValue {
    let ancestors = if frame_ancestors.is_empty() { "'none'".to_owned() } else { frame_ancestors.join(" ") };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    );
    // Origins were validated with the settings, and are ASCII.
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

type FileParams = Result<RawPathParams, RawPathParamsRejection>;
type Answering = Pin<Box<dyn Future<Output = Answer<Response>> + Send>>;

/// A handler for the files of a page.
pub(super) fn page(
    folder: &'static LazyLock<Folder>,
    policy: HeaderValue,
) -> impl Fn(FileParams, Request) -> Answering + Clone + Send + Sync + 'static {
    LazyLock::force(folder);
    move |path, request| {
        let policy = policy.clone();
        Box::pin(async move {
            let mut response = serve(folder, &path, request.headers())?;
            let headers = response.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, policy);
            headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static("camera=(self)"));
            headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
            Ok(response)
        })
    }
}

/// A handler for scripts that pages of all origins may load.
pub(super) fn script(
    folder: &'static LazyLock<Folder>,
) -> impl Fn(FileParams, Request) -> Answering + Clone + Send + Sync + 'static {
    LazyLock::force(folder);
    move |path, request| Box::pin(async move { Ok(for_pages(serve(folder, &path, request.headers())?)) })
}

fn serve(folder: &Folder, path: &FileParams, headers: &HeaderMap) -> Result<Response, Fault> {
    let nothing = || Fault::NotFound("there is nothing at this path".into());
    // A path that is not percent-encoded UTF-8 names no file.
    let path = path.as_ref().map_err(|_| nothing())?;
    let name = path.iter().find(|(name, _)| *name == operations::FILE).map_or(INDEX, |(_, file)| file);
    Ok(answer(folder.get(name).ok_or_else(nothing)?, headers))
}

fn answer(asset: &Asset, request: &HeaderMap) -> Response {
    let packed = asset.gzip.as_ref().filter(|_| accepts_gzip(request));
    let content = packed.unwrap_or(&asset.plain);
    let is_known = knows(request, &content.tag);
    let mut response =
        Response::new(if is_known { Body::empty() } else { Body::from(content.bytes.clone()) });
    let headers = response.headers_mut();
    // A browser asks each time whether the file is still the same, since an update of the program may change it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ETAG, content.tag.clone());
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, asset.media_type.clone());
    if packed.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The members of a header that is a list and may occur several times.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether a client accepts gzip (RFC 9110, 12.5.3). A client that does not name gzip gets plain text.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    members(headers, &ACCEPT_ENCODING).any(|member| {
        let (coding, weight) = member.split_once(';').unwrap_or((member, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        coding.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether a client already has the content with this tag (RFC 9110, 13.1.2, which compares weakly).
fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    members(headers, &IF_NONE_MATCH)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_accept_it() {
        let of = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (ACCEPT_ENCODING, HeaderValue::from_static(line)));
            accepts_gzip(&lines.fold(HeaderMap::new(), |mut all, (name, line)| {
                all.append(name, line);
                all
            }))
        };
        for accepted in [&["gzip"][..], &["br, gzip;q=0.5"], &["br", "GZIP"], &["deflate,gzip ; q=1"]] {
            assert!(of(accepted), "{accepted:?}");
        }
        for refused in
            [&[][..], &["br"], &["gzip;q=0"], &["gzip;q=0.000, br"], &["gzip;q=x"], &["x-gzip"], &["*"]]
        {
            assert!(!of(refused), "{refused:?}");
        }
    }

    #[test]
    fn the_policy_names_who_may_frame_the_page() {
        let of = |origins: &[&str]| {
            let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            content_policy(&origins).to_str().unwrap().to_owned()
        };
        assert!(of(&[]).ends_with("; frame-ancestors 'none'"));
        assert!(
            of(&["https://a.example", "https://b.example"])
                .ends_with("; frame-ancestors https://a.example https://b.example")
        );
        assert!(!of(&[]).contains("unsafe"));
    }
}
