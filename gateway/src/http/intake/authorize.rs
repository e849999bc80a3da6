//! Authentication of a caller, its permission, and the rate and quota of its key.

use faceline_gateway_store::rate::{Bound, Rate, Refusal, Terms};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use tracing::Span;

use super::basic;
use crate::accounts::{Caller, SourceAddress};
use crate::fault::{BusyCause, Fault};
use crate::http::GatewayState;
use crate::http::family::Family;
use crate::http::operations::{Access, Operation};
use crate::request::record::RequestRecord;

/// The caller of a request for `operation`: its credential is valid, its key has the permission, and is within its
/// rate and quota.
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
    let Access::Permission(permission) = operation.access else {
        tracing::error!(
            operation = operation.name,
            "a handler authenticates the callers of a public operation"
        );
        return Err(Fault::Internal);
    };
    let caller = authenticate(state, parts, operation.family).await?;
    Span::current().record("client", &*caller.client);
    record.update(|facts| facts.caller = Some(caller.clone()));
    caller.require(permission)?;
    check_rate(state, &caller, &record).await?;
    Ok(caller)
}

/// The caller that a credential belongs to. Each family has its own kind of credential.
async fn authenticate(state: &GatewayState, parts: &Parts, family: Family) -> Result<Caller, Fault> {
    let source = parts.extensions.get::<SourceAddress>().copied().unwrap_or_default();
    match family {
        Family::Bws | Family::Grpc => state.accounts.by_token(bearer_token(&parts.headers), source),
        Family::FaceLiveness => {
            let (user, password) = basic::credentials(&parts.headers).ok_or(Fault::Unauthenticated)?;
            state.accounts.by_password(&user, &password, source).await
        }
        Family::BiometricServices => {
            let key = parts.headers.get("apikey").map(HeaderValue::as_bytes);
            state.accounts.by_api_key(key, source)
        }
    }
}

/// The bearer token of a request with exactly one `Authorization` header.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Counts the request against the rate and the quota of the caller's key.
async fn check_rate(state: &GatewayState, caller: &Caller, record: &RequestRecord) -> Result<(), Fault> {
    let limits = &state.config.limits;
    let default = Rate { requests_per_second: limits.requests_per_second, burst: limits.burst };
    let terms = Terms { rate: caller.rate.unwrap_or(default), quota: caller.quota };
    let verdict = state.rates.check(&caller.key_id, &terms).await;
    record.update(|facts| facts.rate_check = Some((terms, verdict)));
    match verdict.refusal {
        None => Ok(()),
        Some(Refusal { bound: Bound::Rate, wait }) => Err(Fault::busy(BusyCause::ClientRate, wait)),
        Some(Refusal { bound: Bound::Quota, wait }) => Err(Fault::busy(BusyCause::ClientQuota, wait)),
    }
}
