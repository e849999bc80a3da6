//! Authentication of a caller or a device, its permission, and the rate and quota of its key.

use std::sync::Arc;

use faceline_gateway_store::rate::{Bound, Rate, Refusal, Terms};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, header};
use tracing::Span;
use uuid::Uuid;

use super::basic;
use crate::accounts::{Caller, Permission, SourceAddress};
use crate::fault::{BusyCause, Fault};
use crate::http::GatewayState;
use crate::http::family::Family;
use crate::http::operations::{self, Access, Operation};
use crate::request::RequestSpan;
use crate::request::record::RequestRecord;

const APIKEY: &str = "apikey";
/// The header with the capture token of a replay.
pub(in crate::http) const CAPTURE_TOKEN: &str = "x-capture-token";
/// The header in which a browser states how the page that sends a request is related to the requested host (Fetch
/// Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// A caller whose credential is valid.
struct Authenticated {
    caller: Caller,
    /// The name under which the rate limiter counts the caller's requests.
    counted_as: Arc<str>,
}

/// Returns the caller of a request for `operation`. Checks that its credential is valid, that its key has the
/// permission, and that the key is within its rate and quota.
///
/// # Errors
/// [`Fault::Unauthenticated`] or [`Fault::Busy`] (failed logins) for the credential, [`Fault::Forbidden`] without the
/// permission, [`Fault::Busy`] beyond rate or quota, [`Fault::Internal`] where the request has no record.
pub(super) async fn authorize(
    state: &GatewayState,
    parts: &Parts,
    operation: &Operation,
) -> Result<Caller, Fault> {
    let record = RequestRecord::current()?;
    let (permission, takes_devices) = match operation.access {
        Access::Permission(permission) => (permission, false),
        Access::PermissionOrCaptureToken(permission) | Access::PermissionOrCapturePage(permission) => {
            (permission, true)
        }
        Access::Public => {
            tracing::error!(
                operation = operation.name,
                "a handler authenticates the callers of a public operation"
            );
            return Err(Fault::Internal);
        }
    };
    // An API key has precedence: a wrong one is refused even if the token beside it is right.
    let authenticated = if takes_devices && !parts.headers.contains_key(APIKEY) {
        authenticate_device(state, parts, operation, permission).await?
    } else {
        let caller = authenticate(state, parts, operation.family).await?;
        Authenticated { counted_as: Arc::clone(&caller.key_id), caller }
    };
    let Authenticated { caller, counted_as } = authenticated;
    Span::current().record("client", &*caller.client);
    if let Some(span) = parts.extensions.get::<RequestSpan>() {
        span.update(|span| span.set("faceline.client", caller.client.to_string()));
    }
    record.update(|facts| facts.caller = Some(caller.clone()));
    caller.require(permission)?;
    check_rate(state, &caller, &counted_as, &record).await?;
    Ok(caller)
}

/// Authenticates a device by the capture token of the session in the path, or by the session's id. The returned caller
/// has `permission` and no other. Its requests do not count against the rate of the API key that made the replay.
async fn authenticate_device(
    state: &GatewayState,
    parts: &Parts,
    operation: &Operation,
    permission: Permission,
) -> Result<Authenticated, Fault> {
    if !parts.headers.contains_key(CAPTURE_TOKEN)
        && matches!(operation.access, Access::PermissionOrCapturePage(_))
    {
        return authenticate_page(state, parts, operation, permission).await;
    }
    let token = only(&parts.headers, CAPTURE_TOKEN).ok_or(Fault::Unauthenticated)?;
    if let Some(session) = session_in_path(operation.path, parts.uri.path())
        && let Some(owner) = state.biometric.replays().owner_by_token(token.as_bytes(), session).await?
        && let Some(caller) = state.accounts.on_behalf_of(&owner.client, &owner.key, permission)
    {
        return Ok(Authenticated { caller, counted_as: format!("capture-token {session}").into() });
    }
    // A token for another session gets the same answer as any wrong token, so it does not reveal which sessions exist.
    Err(state.accounts.count_wrong_capture_token(source(parts)))
}

/// Authenticates a capture page by nothing but the id of the session in the path. The page's browser states the page's
/// origin. Other programs can state any origin, so this keeps out only pages of other origins.
async fn authenticate_page(
    state: &GatewayState,
    parts: &Parts,
    operation: &Operation,
    permission: Permission,
) -> Result<Authenticated, Fault> {
    if !state.capture.session_id_authorises || !is_from_allowed_page(state, parts) {
        return Err(Fault::Unauthenticated);
    }
    if let Some(session) = session_in_path(operation.path, parts.uri.path())
        && let Some(owner) = state.biometric.replays().owner_by_session_id(session).await?
        && let Some(caller) = state.accounts.on_behalf_of(&owner.client, &owner.key, permission)
    {
        return Ok(Authenticated { caller, counted_as: format!("session-id {session}").into() });
    }
    // The id is unknown, its session has ended, or it is of another kind of session. The answer does not reveal which.
    Err(state.accounts.count_wrong_session_id(source(parts)))
}

/// Whether a request states that it comes from a page of an allowed origin. With a GET to the page's own origin
/// browsers send no `Origin`, but `Sec-Fetch-Site`, which no page can set. The origin is then that of the requested
/// host, with either scheme: behind a proxy the gateway does not know which scheme the browser used.
fn is_from_allowed_page(state: &GatewayState, parts: &Parts) -> bool {
    let text = |name: &str| only(&parts.headers, name).and_then(|value| value.to_str().ok());
    if parts.headers.contains_key(header::ORIGIN) {
        return text(header::ORIGIN.as_str()).is_some_and(|origin| state.capture.allow_origin(origin));
    }
    if text(SEC_FETCH_SITE) != Some("same-origin") {
        return false;
    }
    let host = text(header::HOST.as_str()).or_else(|| parts.uri.authority().map(Authority::as_str));
    host.is_some_and(|host| {
        ["https", "http"].iter().any(|scheme| state.capture.allow_origin(&format!("{scheme}://{host}")))
    })
}

/// The value of a header that occurs exactly once; otherwise `None`.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The id of the session in a path, at the position where `pattern` has the parameter for it.
fn session_in_path(pattern: &str, path: &str) -> Option<Uuid> {
    let mut segments = pattern.split('/').zip(path.split('/'));
    let (_, session) = segments.find(|(name, _)| {
        name.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(operations::SESSION_ID)
    })?;
    session.parse().ok()
}

/// The source address of a request.
fn source(parts: &Parts) -> SourceAddress {
    parts.extensions.get::<SourceAddress>().copied().unwrap_or_default()
}

/// Authenticates a request by the kind of credential that its family has.
async fn authenticate(state: &GatewayState, parts: &Parts, family: Family) -> Result<Caller, Fault> {
    let source = source(parts);
    match family {
        Family::Bws | Family::Grpc => state.accounts.by_token(bearer_token(&parts.headers), source),
        Family::FaceLiveness => {
            let (user, password) = basic::credentials(&parts.headers).ok_or(Fault::Unauthenticated)?;
            state.accounts.by_password(&user, &password, source).await
        }
        Family::BiometricServices => {
            let key = parts.headers.get(APIKEY).map(HeaderValue::as_bytes);
            state.accounts.by_api_key(key, source)
        }
    }
}

/// The bearer token of a request with exactly one `Authorization` header.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) =
        only(headers, header::AUTHORIZATION.as_str())?.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Counts the request against the rate and the quota of the caller's key.
async fn check_rate(
    state: &GatewayState,
    caller: &Caller,
    counted_as: &str,
    record: &RequestRecord,
) -> Result<(), Fault> {
    let limits = &state.config.limits;
    let default = Rate { requests_per_second: limits.requests_per_second, burst: limits.burst };
    let terms = Terms { rate: caller.rate.unwrap_or(default), quota: caller.quota };
    let verdict = state.rates.check(counted_as, &terms).await;
    record.update(|facts| facts.rate_check = Some((terms, verdict)));
    match verdict.refusal {
        None => Ok(()),
        Some(Refusal { bound: Bound::Rate, wait }) => Err(Fault::busy(BusyCause::ClientRate, wait)),
        Some(Refusal { bound: Bound::Quota, wait }) => Err(Fault::busy(BusyCause::ClientQuota, wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_stands_where_the_operation_has_it() {
        let pattern = "/bioserver-app/v2/bio-sessions/{session}/replay-liveness";
        let id = Uuid::new_v4();
        let path = |id: &str| format!("/bioserver-app/v2/bio-sessions/{id}/replay-liveness");
        assert_eq!(session_in_path(pattern, &path(&id.to_string())), Some(id));
        assert_eq!(session_in_path(pattern, &path("nothing")), None);
        assert_eq!(session_in_path("/bioserver-app/v2/faces", "/bioserver-app/v2/faces"), None);
        assert_eq!(session_in_path(pattern, &format!("/{id}")), None);
    }
}
