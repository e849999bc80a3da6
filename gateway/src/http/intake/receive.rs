//! The functions with which handlers receive a request: they authorise, admit and read it.
//!
//! The connection reads the rest of a body that is not read here (`protocol/drain.rs`).
//!
//! The row of the operation decides which permission the caller needs and which body is read. A handler that calls
//! the function for another kind of body than its row has is a bug, and answers with an internal error.

use axum::extract::Request;
use bytes::{Buf as _, Bytes, BytesMut};
use faceline_shared::telemetry::TraceContext;
use futures_util::TryStreamExt as _;
use http::request::Parts;
use tracing::Span;
use uuid::Uuid;

use super::admit::{Admitted, BodyBounds, admit};
use super::authorize::authorize;
use super::body::BoundedBody;
use super::limits::{MAX_BYTES_BESIDES_PICTURES, MAX_JSON_BYTES};
use super::whole_body::WholeBody;
use super::{content_type, multipart};
use crate::accounts::Caller;
use crate::admission::InFlightPermit;
use crate::families::form::{Form, Schema};
use crate::fault::Fault;
use crate::http::GatewayState;
use crate::http::layers::BwsHeaders;
use crate::http::operations::{self, Body, MakesJob, Operation};
use crate::request::record;
use crate::request::{RequestContext, RequestSpan};

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A request that was admitted and read.
pub(in crate::http) struct Received<B> {
    pub(in crate::http) body: B,
    pub(in crate::http) caller: Caller,
    pub(in crate::http) context: RequestContext,
    /// Holds the request's memory, and its slot among the jobs in flight, until it is dropped.
    pub(in crate::http) permit: InFlightPermit,
}

/// Receives a request with a multipart form, which makes a job.
///
/// # Errors
/// Those of [`authorize`] and [`admit`], [`Fault::Invalid`] for a body that is no such form, [`Fault::TooLarge`] for
/// one that is too long, [`Fault::SlowBody`] for one that arrives too slowly.
pub(in crate::http) async fn receive_form(
    state: &GatewayState,
    request: Request,
) -> Result<Received<Form>, Fault> {
    let (parts, body) = request.into_parts();
    let operation = operations::matched(&parts.extensions)?;
    let (Body::Form(form) | Body::FormOrJson { form, .. }) = operation.body else {
        return Err(other_body(operation));
    };
    let max_bytes = max_form_bytes(state, form.parts);
    let caller = authorize(state, &parts, operation).await?;
    let boundary = content_type::boundary(&parts.headers)?;
    let mut admitted = admit(state, &parts, caller, true, BodyBounds::plain(max_bytes))?;
    let length = content_type::length(&parts.headers);
    let bounds = BodyBounds::plain(max_bytes);
    let mut bounded = BoundedBody::new(body, bounds, state.config.http.body_timeout, &mut admitted.permit);
    let max_picture = state.config.limits.picture_bytes;
    let form = multipart::decode(&mut bounded, boundary, length, form.parts, max_picture).await?;
    drop(bounded);
    Ok(received(admitted, form, &parts))
}

/// Maximum bytes of a form that has these parts.
fn max_form_bytes(state: &GatewayState, parts: &Schema) -> usize {
    let pictures = state.config.limits.picture_bytes.saturating_mul(parts.pictures.len());
    // Waiting would not help a body that is longer than all the memory for requests allows.
    pictures.saturating_add(MAX_BYTES_BESIDES_PICTURES).min(state.admission.max_body_bytes())
}

/// Receives a request with short JSON, or without a body, which makes no job.
///
/// # Errors
/// Those of [`receive_form`], and [`Fault::Invalid`] for a body that is announced as something else than JSON.
pub(in crate::http) async fn receive_json(
    state: &GatewayState,
    request: Request,
) -> Result<Received<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let operation = operations::matched(&parts.extensions)?;
    let (Body::Json { .. } | Body::FormOrJson { .. }) = operation.body else {
        return Err(other_body(operation));
    };
    let bounds = BodyBounds::plain(MAX_JSON_BYTES);
    let caller = authorize(state, &parts, operation).await?;
    let mut admitted = admit(state, &parts, caller, false, bounds)?;
    let bounded = BoundedBody::new(body, bounds, state.config.http.body_timeout, &mut admitted.permit);
    let bytes = without_byte_order_mark(collect(bounded).await?);
    if !bytes.is_empty() {
        content_type::require_json(&parts.headers)?;
    }
    Ok(received(admitted, bytes, &parts))
}

/// Receives a request whose body is read as a whole, and which makes a job.
///
/// # Errors
/// Those of [`receive_form`], and those of the header check for the kind of body.
pub(in crate::http) async fn receive_whole(
    state: &GatewayState,
    request: Request,
) -> Result<Received<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let operation = operations::matched(&parts.extensions)?;
    let WholeBody { bounds, check_headers, is_json } = WholeBody::of(operation, state)?;
    let caller = authorize(state, &parts, operation).await?;
    check_headers(&parts.headers)?;
    let mut admitted = admit(state, &parts, caller, true, bounds)?;
    let bounded = BoundedBody::new(body, bounds, state.config.http.body_timeout, &mut admitted.permit);
    let bytes = collect(bounded).await?;
    let body = if is_json { without_byte_order_mark(bytes) } else { bytes };
    Ok(received(admitted, body, &parts))
}

/// Receives a request whose body, if it has one, is discarded.
///
/// # Errors
/// Those of [`authorize`] and [`admit`].
pub(in crate::http) async fn receive_without_body(
    state: &GatewayState,
    request: Request,
) -> Result<Received<()>, Fault> {
    let (parts, _) = request.into_parts();
    let operation = operations::matched(&parts.extensions)?;
    let Body::None = operation.body else {
        return Err(other_body(operation));
    };
    let caller = authorize(state, &parts, operation).await?;
    let is_job = operation.makes_job == MakesJob::Always;
    let admitted = admit(state, &parts, caller, is_job, BodyBounds::plain(0))?;
    Ok(received(admitted, (), &parts))
}

/// The fault for a handler that reads another kind of body than its row has.
fn other_body(operation: &Operation) -> Fault {
    tracing::error!(operation = operation.name, "a handler reads another body than its operation has");
    Fault::Internal
}

/// Reads a body as a whole.
async fn collect(bounded: BoundedBody<'_>) -> Result<Bytes, Fault> {
    let append = |mut bytes: BytesMut, chunk: Bytes| async move {
        bytes.extend_from_slice(&chunk);
        Ok(bytes)
    };
    bounded.try_fold(BytesMut::new(), append).await.map(BytesMut::freeze)
}

/// Removes the byte order mark with which some Windows programs begin JSON. RFC 8259 (8.1) allows ignoring it.
fn without_byte_order_mark(mut json: Bytes) -> Bytes {
    if json.starts_with(BYTE_ORDER_MARK) {
        json.advance(BYTE_ORDER_MARK.len());
    }
    json
}

/// The received request, once its body is complete.
pub(super) fn received<B>(admitted: Admitted, body: B, parts: &Parts) -> Received<B> {
    let Admitted { caller, is_job, fingerprint, mut permit } = admitted;
    permit.body_complete();
    let assigned = parts.extensions.get().map(BwsHeaders::job);
    let job = assigned.unwrap_or_else(Uuid::now_v7);
    record::update(|facts| {
        facts.is_received = true;
        if is_job {
            facts.job = Some(job);
        }
    });
    Span::current().record("job", tracing::field::display(job));
    if let Some(span) = parts.extensions.get::<RequestSpan>() {
        span.update(|span| {
            span.event("request received");
            span.set_text("faceline.job", job);
        });
    }
    let trace = parts.extensions.get::<TraceContext>().cloned().unwrap_or_default();
    let context = RequestContext { job, client: caller.client.clone(), fingerprint, trace, timeout: None };
    Received { body, caller, context, permit }
}
