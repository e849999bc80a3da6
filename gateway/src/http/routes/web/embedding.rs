//! The header that states which pages may embed an answer.

use axum::response::Response;
use http::{HeaderName, HeaderValue};

pub(super) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Allows pages of any origin to embed the answer. Pages of the original service need this, since they have the policy
/// `require-corp`.
pub(in crate::http::routes) fn for_pages(mut response: Response) -> Response {
    response.headers_mut().insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    response
}
