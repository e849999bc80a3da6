//! Admission control: decides on a request's headers, before its body is read, whether the gateway takes it.
//!
//! The rate limit of the caller's key comes first (`http/intake`). Then this module checks, in this order:
//!
//! 1. the client's share of what is in flight, and this gateway's bounds on requests and body bytes (`in_flight.rs`);
//! 2. the limit on jobs (`job_limiter.rs`): a job is admitted while it is expected to be answered in time by workers of
//!    the estimated capacity (`capacity.rs`). Once some must be refused, the AIMD limit keeps the queue of the others
//!    short (`aimd_limit.rs`).
//!
//! Jobs about videos have bounds, a limit and estimates of their own (`job_class.rs`); only the memory is shared.
//!
//! A refused request is answered with `Retry-After`, and capacity is reserved for its retry (`retry_reservations.rs`).
//! The retry is recognised by its fingerprint (`fingerprint.rs`); callers send nothing for it. Reservations are local
//! to a gateway. If a balancer sends the retry to another gateway, the retry is treated there like any new request.

mod admission_control;
mod aimd_limit;
mod capacity;
mod core;
mod decaying_count;
mod fingerprint;
mod in_flight;
mod job_class;
mod job_limiter;
mod mean_in_flight;
mod metrics;
mod model;
mod permit;
mod retry_reservations;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod upload_limiter;
mod upload_slots;

pub use self::admission_control::{Admission, outage};
pub use self::fingerprint::{ClientConnection, ConnectionId, RequestFingerprint};
pub use self::job_class::JobClass;
pub use self::model::{AdmissionModel, ModelledJob};
pub use self::permit::InFlightPermit;
pub use self::upload_limiter::{UploadLimiter, UploadPermit};
pub(crate) use self::upload_slots::UploadSlots;
