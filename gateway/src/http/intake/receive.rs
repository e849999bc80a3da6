//! The way in of a request: everything that its headers decide, then its body.

use crate::fault::{BusyCause, Fault};
use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use faceline_gateway_store::rate::{Bound, Rate, Refusal, Terms};
use faceline_shared::telemetry::TraceContext;
use futures_util::TryStreamExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use tracing::Span;
use uuid::Uuid;

use super::body::BoundedBody;
use super::{basic, content_type, drain, multipart};
use crate::accounts::{Caller, Permission, SourceAddress};
use crate::admission::{ConnectionId, RequestFingerprint, Ticket};
use crate::families::form::{Form, Schema};
use crate::http::State;
use crate::http::answer::family::Family;
use crate::request::RequestContext;
use crate::request::record;

/// What a body may have besides its pictures.
const ALLOWANCE: usize = 1 << 20;
/// Size of a body that is JSON and nothing else.
const JSON_LIMIT: usize = 128 << 10;
/// Room for a body of unknown length is taken in steps of this size.
pub(in crate::http) const STEP: usize = 256 << 10;

/// A request that was let in and read.
pub(in crate::http) struct Received<B> {
    pub(in crate::http) body: B,
    pub(in crate::http) caller: Caller,
    pub(in crate::http) context: RequestContext,
    /// Holds the request's room until it is answered.
    pub(in crate::http) ticket: Ticket,
}

/// Who calls, where its key allows `permission`.
async fn authorize(state: &State, parts: &Parts, permission: Permission) -> Result<Caller, Fault> {
    let peer = parts.extensions.get::<SourceAddress>().copied().unwrap_or_default();
    let caller = match Family::of(parts.uri.path()) {
        Family::Bws | Family::Grpc => state.accounts.by_token(bearer(&parts.headers), peer)?,
        Family::FaceLiveness => {
            let (user, password) = basic::credentials(&parts.headers).ok_or(Fault::Unauthenticated)?;
            state.accounts.by_password(&user, &password, peer).await?
        }
        Family::BiometricServices => {
            let key = parts.headers.get("apikey").map(HeaderValue::as_bytes);
            state.accounts.by_api_key(key, peer)?
        }
    };
    Span::current().record("client", &*caller.client);
    record::note(|facts| facts.caller = Some(caller.clone()));
    caller.require(permission)?;
    Ok(caller)
}

/// The token of a caller that shows exactly one.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
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
pub(in crate::http) async fn receive_form(
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
pub(in crate::http) async fn receive_json(
    state: &State,
    request: Request,
    permission: Permission,
) -> Result<Received<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let entered = enter(state, &parts, permission).await;
    let admitted = entered.and_then(|caller| admit(state, &parts, caller, Work::None, JSON_LIMIT));
    let (mut admitted, body) = or_drained(admitted, &parts, body)?;
    let bounded = BoundedBody::new(body, JSON_LIMIT, state.config.http.body_timeout, &mut admitted.ticket);
    let bytes = collect(bounded).await?;
    if !bytes.is_empty() {
        content_type::require_json(&parts.headers)?;
    }
    Ok(admitted.with(bytes, &parts))
}

/// A body that is read as a whole.
pub(in crate::http) struct WholeBody {
    /// Its longest, in bytes.
    pub(in crate::http) limit: usize,
    /// Bytes of memory that a request takes for so many of its body.
    pub(in crate::http) room: fn(usize) -> usize,
    /// What its headers must say.
    pub(in crate::http) check: fn(&HeaderMap) -> Result<(), Fault>,
}

impl WholeBody {
    /// JSON with pictures in it: besides its text there are the pictures, three quarters as large, and what is in between.
    pub(in crate::http) const fn json(limit: usize) -> Self {
        Self { limit, room: |bytes| bytes.saturating_mul(12) / 5, check: content_type::require_json }
    }

    /// JSON with one picture of at most so many bytes in it, as base64.
    pub(in crate::http) fn json_with_picture(bytes: usize) -> Self {
        Self::json(bytes.div_ceil(3).saturating_mul(4).saturating_add(ALLOWANCE))
    }
}

/// Lets a request in that makes a job of its whole body, and reads it.
pub(in crate::http) async fn receive_whole(
    state: &State,
    request: Request,
    permission: Permission,
    form: &WholeBody,
) -> Result<Received<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let &WholeBody { limit, room, check } = form;
    // As of forms; the room grows with the length.
    let limit = limit.min(limit.saturating_mul(state.admission.longest_body()) / room(limit));
    let decide = async {
        let caller = enter(state, &parts, permission).await?;
        check(&parts.headers)?;
        admit_with(state, &parts, caller, Work::Job, limit, room)
    };
    let (mut admitted, body) = or_drained(decide.await, &parts, body)?;
    let bounded = BoundedBody::new(body, limit, state.config.http.body_timeout, &mut admitted.ticket);
    let bytes = collect(bounded.taking(room)).await?;
    Ok(admitted.with(bytes, &parts))
}

/// All of a body; what is left of one that is not read is dropped for a moment.
async fn collect(mut bounded: BoundedBody<'_>) -> Result<Bytes, Fault> {
    let append = |mut bytes: BytesMut, piece: Bytes| async move {
        bytes.extend_from_slice(&piece);
        Ok(bytes)
    };
    let read = (&mut bounded).try_fold(BytesMut::new(), append).await;
    drain::rest(bounded.into_inner());
    read.map(BytesMut::freeze)
}

/// Lets a request in that has no body.
pub(in crate::http) async fn receive_bare(
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
pub(in crate::http) enum Work {
    /// A job for the workers.
    Job,
    /// Nothing but the gateway's own work.
    None,
}

struct Admitted {
    caller: Caller,
    work: Work,
    fingerprint: RequestFingerprint,
    ticket: Ticket,
}

impl Admitted {
    /// The request as a whole, whose body is here.
    fn with<B>(self, body: B, parts: &Parts) -> Received<B> {
        let Self { caller, work, fingerprint, mut ticket } = self;
        ticket.received();
        let job = Uuid::now_v7();
        if work == Work::Job {
            record::note(|facts| facts.job = Some(job));
        }
        Span::current().record("job", tracing::field::display(job));
        let trace = parts.extensions.get::<TraceContext>().copied().unwrap_or_default();
        let context =
            RequestContext { job, client: caller.client.clone(), fingerprint, trace, timeout: None };
        Received { body, caller, context, ticket }
    }
}

/// Lets a request of `caller` in with a body of at most `limit` bytes.
fn admit(state: &State, parts: &Parts, caller: Caller, work: Work, limit: usize) -> Result<Admitted, Fault> {
    admit_with(state, parts, caller, work, limit, |bytes| bytes)
}

/// The same for a body that takes `room`.
fn admit_with(
    state: &State,
    parts: &Parts,
    caller: Caller,
    work: Work,
    limit: usize,
    room: fn(usize) -> usize,
) -> Result<Admitted, Fault> {
    let length = content_type::length(&parts.headers);
    if limit > 0 && length.is_some_and(|length| length > limit as u64) {
        return Err(Fault::TooLarge { limit, place: String::new() });
    }
    let way = parts.extensions.get::<ConnectionId>().cloned().unwrap_or_default();
    let fingerprint = state.admission.fingerprint(&caller, parts.uri.path(), length, way);
    let bytes = room(length.map_or(STEP, |length| length as usize).min(limit));
    let ticket = match work {
        Work::Job => {
            require_workers(state, &fingerprint)?;
            state.admission.admit(&caller, &fingerprint, bytes)?
        }
        Work::None => state.admission.admit_without_job(&caller, &fingerprint, bytes)?,
    };
    Ok(Admitted { caller, work, fingerprint, ticket })
}

/// Whether there is a way to the workers.
pub(in crate::http) fn require_workers(state: &State, fingerprint: &RequestFingerprint) -> Result<(), Fault> {
    if state.submit.is_connected() {
        return Ok(());
    }
    Err(state.admission.refusal(fingerprint, BusyCause::BrokerUnreachable))
}
