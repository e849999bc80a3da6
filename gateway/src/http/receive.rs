//! The way in of a request: everything that its headers decide, then its body.

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use faceline_shared::error::{BusyCause, Fault};
use faceline_shared::rate::{Bound, Rate, Refusal, Terms};
use faceline_shared::telemetry::TraceContext;
use futures_util::TryStreamExt as _;
use http::HeaderValue;
use http::request::Parts;
use tracing::Span;
use uuid::Uuid;

use super::State;
use super::body::BoundedBody;
use super::family::Family;
use super::{basic, content_type, drain, multipart};
use crate::accounts::{Caller, Peer, Permission};
use crate::admission::{Ticket, Visit, Way};
use crate::call::Call;
use crate::form::{Form, Schema};
use crate::record;

/// What a body may have besides its pictures.
const ALLOWANCE: usize = 1 << 20;
/// Size of a body that is JSON and nothing else.
const JSON_LIMIT: usize = 128 << 10;
/// JSON with pictures in it takes 12/5 of its length: as it came, decoded, and as text without escapes in between.
const JSON_WEIGHT: (usize, usize) = (12, 5);
/// Room for a body of unknown length is taken in steps of this size.
pub(super) const STEP: usize = 256 << 10;

/// A request that was let in and read.
pub(super) struct Received<B> {
    pub(super) body: B,
    pub(super) caller: Caller,
    pub(super) call: Call,
    /// Holds the request's room until it is answered.
    pub(super) ticket: Ticket,
}

/// Who calls, where its key allows `permission`.
async fn authorize(state: &State, parts: &Parts, permission: Permission) -> Result<Caller, Fault> {
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let caller = match Family::of(parts.uri.path()) {
        Family::FaceLiveness => {
            let (user, password) = basic::credentials(&parts.headers).ok_or(Fault::Unauthenticated)?;
            state.accounts.by_password(&user, &password, peer).await?
        }
        Family::BiometricServices | Family::Bws => {
            let key = parts.headers.get("apikey").map(HeaderValue::as_bytes);
            state.accounts.by_api_key(key, peer)?
        }
    };
    Span::current().record("client", &*caller.client);
    record::note(|facts| facts.caller = Some(caller.clone()));
    caller.require(permission)?;
    Ok(caller)
}

/// Who calls, where its key allows `permission` now: its rate and its quota have room for one more request.
async fn enter(state: &State, parts: &Parts, permission: Permission) -> Result<Caller, Fault> {
    let caller = authorize(state, parts, permission).await?;
    let limits = &state.config.limits;
    let default = Rate { requests_per_second: limits.requests_per_second, burst: limits.burst };
    let terms = Terms { rate: caller.rate.unwrap_or(default), quota: caller.quota };
    let verdict = state.rates.check(&caller.key_id, &terms).await;
    record::note(|facts| facts.counted = Some((terms, verdict)));
    match verdict.refusal {
        None => Ok(caller),
        Some(Refusal { bound: Bound::Rate, wait }) => Err(Fault::busy(BusyCause::ClientRate, wait)),
        Some(Refusal { bound: Bound::Quota, wait }) => Err(Fault::busy(BusyCause::ClientQuota, wait)),
    }
}

/// Lets a request with pictures in and reads its body.
pub(super) async fn receive_form(
    state: &State,
    request: Request,
    permission: Permission,
    schema: &'static Schema,
) -> Result<Received<Form>, Fault> {
    let (parts, body) = request.into_parts();
    let limit = form_limit(state, schema);
    let decide = async {
        let caller = enter(state, &parts, permission).await?;
        let boundary = content_type::boundary(&parts.headers)?;
        Ok((admit(state, &parts, caller, Work::Job, limit)?, boundary))
    };
    let admitted = decide.await;
    let ((mut admitted, boundary), body) = or_drained(admitted, &parts, body)?;
    let length = content_type::length(&parts.headers);
    let mut bounded = BoundedBody::new(body, limit, state.config.http.body_timeout, &mut admitted.ticket);
    let max_picture = state.config.limits.picture_bytes;
    let decoded = multipart::decode(&mut bounded, boundary, length, schema, max_picture).await;
    drain::rest(bounded.into_inner());
    Ok(admitted.with(decoded?, &parts))
}

/// What was decided on the headers, with the body that may be read now.
///
/// That of a refused request is thrown away for a moment, so that the caller, who still sends, gets the answer rather
/// than a reset connection.
fn or_drained<T>(decided: Result<T, Fault>, parts: &Parts, body: Body) -> Result<(T, Body), Fault> {
    match decided {
        Ok(decided) => Ok((decided, body)),
        Err(fault) => {
            drain::refused(parts, body);
            Err(fault)
        }
    }
}

/// The longest body that the parts of `schema` may make.
fn form_limit(state: &State, schema: &Schema) -> usize {
    let pictures = state.config.limits.picture_bytes.saturating_mul(schema.pictures.len());
    // What never fits is too large, not a matter of waiting.
    pictures.saturating_add(ALLOWANCE).min(state.admission.longest_body())
}

/// Lets a request in whose body is JSON, or empty, and which makes no job.
pub(super) async fn receive_json(
    state: &State,
    request: Request,
    permission: Permission,
) -> Result<Received<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let entered = enter(state, &parts, permission).await;
    let admitted = entered.and_then(|caller| admit(state, &parts, caller, Work::None, JSON_LIMIT));
    let (mut admitted, body) = or_drained(admitted, &parts, body)?;
    let mut bounded =
        BoundedBody::new(body, JSON_LIMIT, state.config.http.body_timeout, &mut admitted.ticket);
    let read = collect(&mut bounded, 0).await;
    drain::rest(bounded.into_inner());
    let bytes = read?;
    if !bytes.is_empty() {
        content_type::require_json(&parts.headers)?;
    }
    Ok(admitted.with(bytes, &parts))
}

/// Lets a request in whose body is JSON with at most `pictures` pictures in it, as base64.
pub(super) async fn receive_pictures(
    state: &State,
    request: Request,
    permission: Permission,
    pictures: usize,
) -> Result<Received<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let pictures = state.config.limits.picture_bytes.saturating_mul(pictures);
    let longest = state.admission.longest_body() / JSON_WEIGHT.0 * JSON_WEIGHT.1;
    let limit = (pictures.div_ceil(3).saturating_mul(4)).saturating_add(ALLOWANCE).min(longest);
    // What is declared is taken as a whole, so that nothing is moved while it grows.
    let length = content_type::length(&parts.headers).unwrap_or_default() as usize;
    let decide = async {
        let caller = enter(state, &parts, permission).await?;
        content_type::require_json(&parts.headers)?;
        let mut admitted = admit(state, &parts, caller, Work::Job, limit)?;
        admitted.weigh(length)?;
        Ok(admitted)
    };
    let (mut admitted, body) = or_drained(decide.await, &parts, body)?;
    let mut bounded = BoundedBody::new(body, limit, state.config.http.body_timeout, &mut admitted.ticket);
    let read = collect(&mut bounded, length).await;
    drain::rest(bounded.into_inner());
    let bytes = read?;
    admitted.weigh(bytes.len())?;
    Ok(admitted.with(bytes, &parts))
}

async fn collect(body: &mut BoundedBody<'_>, length: usize) -> Result<Bytes, Fault> {
    let append = |mut bytes: BytesMut, piece: Bytes| async move {
        bytes.extend_from_slice(&piece);
        Ok(bytes)
    };
    Ok(body.try_fold(BytesMut::with_capacity(length), append).await?.freeze())
}

/// Lets a request in that has no body.
pub(super) async fn receive_bare(
    state: &State,
    request: Request,
    permission: Permission,
    work: Work,
) -> Result<Received<()>, Fault> {
    let (parts, body) = request.into_parts();
    // Who sends one all the same is not to be cut off.
    drain::rest(body);
    let caller = enter(state, &parts, permission).await?;
    let admitted = admit(state, &parts, caller, work, 0)?;
    Ok(admitted.with((), &parts))
}

/// What a request is let in for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Work {
    /// A job for the workers.
    Job,
    /// Nothing but the gateway's own work.
    None,
}

struct Admitted {
    caller: Caller,
    work: Work,
    visit: Visit,
    ticket: Ticket,
}

impl Admitted {
    /// Takes what room is missing for a JSON body of `length` bytes.
    fn weigh(&mut self, length: usize) -> Result<(), Fault> {
        let missing = (length * JSON_WEIGHT.0 / JSON_WEIGHT.1).saturating_sub(self.ticket.bytes());
        if missing == 0 { Ok(()) } else { self.ticket.grow(missing) }
    }

    /// The request as a whole, whose body is here.
    fn with<B>(self, body: B, parts: &Parts) -> Received<B> {
        let Self { caller, work, visit, mut ticket } = self;
        ticket.received();
        let job = Uuid::now_v7();
        if work == Work::Job {
            record::note(|facts| facts.job = Some(job));
        }
        Span::current().record("job", tracing::field::display(job));
        let trace = parts.extensions.get::<TraceContext>().copied().unwrap_or_default();
        let call = Call { job, client: caller.client.clone(), visit, trace, patience: None };
        Received { body, caller, call, ticket }
    }
}

/// Lets a request of `caller` in with a body of at most `limit` bytes.
fn admit(state: &State, parts: &Parts, caller: Caller, work: Work, limit: usize) -> Result<Admitted, Fault> {
    let length = content_type::length(&parts.headers);
    if limit > 0 && length.is_some_and(|length| length > limit as u64) {
        return Err(Fault::TooLarge { limit, place: String::new() });
    }
    let way = parts.extensions.get::<Way>().cloned().unwrap_or_default();
    let visit = state.admission.visit(&caller, parts.uri.path(), length, way);
    let bytes = length.map_or(STEP, |length| length as usize).min(limit);
    let ticket = match work {
        Work::Job => {
            require_workers(state, &visit)?;
            state.admission.admit(&caller, &visit, bytes)?
        }
        Work::None => state.admission.admit_without_job(&caller, &visit, bytes)?,
    };
    Ok(Admitted { caller, work, visit, ticket })
}

/// Whether there is a way to the workers.
pub(super) fn require_workers(state: &State, visit: &Visit) -> Result<(), Fault> {
    if state.submit.is_connected() {
        return Ok(());
    }
    Err(state.admission.refusal(visit, BusyCause::BrokerUnreachable))
}
