//! The way in of a request that makes a job: everything that its headers decide, then its body.

use axum::extract::Request;
use faceline_shared::error::{BusyCause, Fault};
use faceline_shared::telemetry::TraceContext;
use http::HeaderMap;
use http::request::Parts;
use tracing::Span;
use uuid::Uuid;

use super::State;
use super::body::BoundedBody;
use super::{content_type, drain, multipart};
use crate::accounts::{Caller, Credential, Permission};
use crate::admission::{Ticket, Visit, Way};
use crate::biometric::Call;
use crate::form::{Form, Schema};

/// What a body may have besides its pictures.
const ALLOWANCE: usize = 1 << 20;
/// Room for a body of unknown length is taken in steps of this size.
pub(super) const STEP: usize = 256 << 10;

/// A request that was let in and read.
pub(super) struct Received {
    pub(super) form: Form,
    pub(super) call: Call,
    /// Holds the request's room until it is answered.
    _ticket: Ticket,
}

/// Who calls, where its key allows `permission`.
pub(super) fn authorize(state: &State, headers: &HeaderMap, permission: Permission) -> Result<Caller, Fault> {
    let credential = headers.get("apikey").map(|value| Credential::ApiKey(value.as_bytes()));
    let caller = state.accounts.authenticate(credential)?;
    Span::current().record("client", &*caller.client);
    caller.require(permission)?;
    Ok(caller)
}

/// Lets a request in and reads its body.
///
/// What is not read of a refused body is thrown away for a moment, so that the caller, who still sends, gets the
/// answer rather than a reset connection.
pub(super) async fn receive(
    state: &State,
    request: Request,
    permission: Permission,
    schema: &'static Schema,
) -> Result<Received, Fault> {
    let (parts, body) = request.into_parts();
    let admitted = match admit(state, &parts, permission, schema) {
        Ok(admitted) => admitted,
        Err(fault) => {
            drain::refused(&parts, body);
            return Err(fault);
        }
    };
    let Admitted { caller, visit, boundary, length, limit, mut ticket } = admitted;
    let mut bounded = BoundedBody::new(body, limit, state.config.http.body_timeout, &mut ticket);
    let max_picture = state.config.limits.picture_bytes;
    let decoded = multipart::decode(&mut bounded, boundary, length, schema, max_picture).await;
    drain::rest(bounded.into_inner());
    let form = decoded?;

    let job = Uuid::now_v7();
    Span::current().record("job", tracing::field::display(job));
    let trace = parts.extensions.get::<TraceContext>().copied();
    ticket.received();
    Ok(Received {
        form,
        call: Call { job, client: caller.client, visit, trace: trace.unwrap_or_default() },
        _ticket: ticket,
    })
}

struct Admitted {
    caller: Caller,
    visit: Visit,
    boundary: String,
    /// Of the body, in bytes, where the caller says it.
    length: Option<u64>,
    /// The most that it may have.
    limit: usize,
    ticket: Ticket,
}

fn admit(
    state: &State,
    parts: &Parts,
    permission: Permission,
    schema: &'static Schema,
) -> Result<Admitted, Fault> {
    let caller = authorize(state, &parts.headers, permission)?;
    let boundary = content_type::boundary(&parts.headers)?;
    let limits = &state.config.limits;
    let limit = limits
        .picture_bytes
        .saturating_mul(schema.pictures.len())
        .saturating_add(ALLOWANCE)
        // What never fits is too large, not a matter of waiting.
        .min(state.admission.longest_body());
    let length = content_type::length(&parts.headers);
    if length.is_some_and(|length| length > limit as u64) {
        return Err(Fault::TooLarge { limit, place: String::new() });
    }
    let way = parts.extensions.get::<Way>().cloned().unwrap_or_default();
    let visit = state.admission.visit(&caller, parts.uri.path(), length, way);
    if !state.submit.is_connected() {
        return Err(state.admission.refusal(&visit, BusyCause::BrokerUnreachable));
    }
    let bytes = length.map_or(STEP.min(limit), |length| length as usize);
    let ticket = state.admission.admit(&caller, &visit, bytes)?;
    Ok(Admitted { caller, visit, boundary, length, limit, ticket })
}
