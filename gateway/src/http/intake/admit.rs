//! Admission of a request whose caller is known: memory for its body, and a slot among the jobs in flight.

use http::request::Parts;

use super::content_type;
use super::limits::ADMISSION_STEP_BYTES;
use crate::accounts::Caller;
use crate::admission::{ConnectionId, InFlightPermit, JobClass, RequestFingerprint};
use crate::fault::Fault;
use crate::http::GatewayState;
use crate::http::operations::{self, MakesJob};

/// A request that was admitted and whose body is still to be read.
pub(super) struct Admitted {
    pub(super) caller: Caller,
    pub(super) is_job: bool,
    pub(super) fingerprint: RequestFingerprint,
    pub(super) permit: InFlightPermit,
}

/// The body for which a request asks admission.
#[derive(Clone, Copy)]
pub(super) struct BodyBounds {
    /// Maximum bytes of the body. Zero for a body that is discarded: its length does not matter.
    pub(super) max_bytes: usize,
    /// Returns the bytes of memory that the request needs for a body of the given number of bytes.
    pub(super) memory: fn(usize) -> usize,
}

impl BodyBounds {
    /// A body of at most `max_bytes`, which needs as many bytes of memory.
    pub(super) fn plain(max_bytes: usize) -> Self {
        Self { max_bytes, memory: |bytes| bytes }
    }
}

/// Admits a request of `caller`.
///
/// # Errors
/// [`Fault::TooLarge`] for a body that is announced to be too long, [`Fault::Busy`] where there is no memory, no slot
/// among the jobs in flight, or no broker for a request that makes a job.
pub(super) fn admit(
    state: &GatewayState,
    parts: &Parts,
    caller: Caller,
    is_job: bool,
    BodyBounds { max_bytes, memory }: BodyBounds,
) -> Result<Admitted, Fault> {
    let length = content_type::length(&parts.headers);
    if max_bytes > 0 && length.is_some_and(|length| length > max_bytes as u64) {
        return Err(Fault::TooLarge { limit: max_bytes, place: String::new() });
    }
    let connection = parts.extensions.get::<ConnectionId>().cloned().unwrap_or_default();
    let class = class(parts);
    let fingerprint =
        state.admission.fingerprint(&caller, parts.uri.path(), length, connection).with_class(class);
    let bytes = memory(length.map_or(ADMISSION_STEP_BYTES, |length| length as usize).min(max_bytes));
    let permit = if is_job {
        require_workers(state, &fingerprint)?;
        state.admission.admit(&caller, &fingerprint, bytes)?
    } else {
        state.admission.admit_without_job(&caller, &fingerprint, bytes)?
    };
    Ok(Admitted { caller, is_job, fingerprint, permit })
}

/// The class of the jobs that the request's operation makes.
fn class(parts: &Parts) -> JobClass {
    match operations::matched(&parts.extensions) {
        Ok(operation) if operation.makes_job == MakesJob::Video => JobClass::Video,
        _ => JobClass::Pictures,
    }
}

/// Checks that jobs can be published.
///
/// # Errors
/// [`Fault::Busy`] while the broker is unreachable or takes no jobs.
pub(in crate::http) fn require_workers(
    state: &GatewayState,
    fingerprint: &RequestFingerprint,
) -> Result<(), Fault> {
    match state.submit.outage() {
        None => Ok(()),
        Some(cause) => Err(state.admission.refusal(fingerprint, cause)),
    }
}
