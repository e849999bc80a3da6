//! The state that admission and its permits share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::fingerprint::RequestFingerprint;
use super::in_flight::{InFlight, InFlightBounds};
use super::job_limiter::JobLimiter;
use super::metrics::AdmissionMetrics;
use crate::fault::{BusyCause, Fault};

/// Bounds, counters and job limiter of one gateway.
pub(super) struct AdmissionCore {
    pub(super) bounds: InFlightBounds,
    /// Bytes of memory that one byte of a body occupies.
    pub(super) bytes_per_body_byte: usize,
    pub(super) state: Mutex<AdmissionState>,
    /// A job that was not answered has waited for this long.
    pub(super) job_deadline: Duration,
    pub(super) metrics: AdmissionMetrics,
}

/// What changes with each request.
pub(super) struct AdmissionState {
    pub(super) in_flight: InFlight,
    pub(super) limiter: JobLimiter,
}

impl AdmissionCore {
    pub(super) fn lock(&self) -> MutexGuard<'_, AdmissionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks whether a job with the first `bytes` of its body (in memory) fits under all limits.
    pub(super) fn check_job(
        &self,
        state: &mut AdmissionState,
        now: Instant,
        client: &Arc<str>,
        has_reservation: bool,
        bytes: usize,
    ) -> Result<(), BusyCause> {
        let limit_jobs = state.limiter.limit_jobs(now);
        self.metrics.limit_jobs.set(limit_jobs as i64);
        let bounds = InFlightBounds { limit_jobs, ..self.bounds };
        state.in_flight.check_request(now, client, bytes, &bounds)?;
        if state.limiter.has_room(now, has_reservation) { Ok(()) } else { Err(BusyCause::Wait) }
    }

    /// The refusal for `cause`, with a `Retry-After` for which capacity is reserved where there is any.
    pub(super) fn refuse(
        &self,
        state: &mut AdmissionState,
        now: Instant,
        fingerprint: &RequestFingerprint,
        cause: BusyCause,
    ) -> Fault {
        match cause {
            BusyCause::Wait | BusyCause::ClientShare => state.limiter.limit_was_binding(now),
            BusyCause::InFlight | BusyCause::QueueFull => state.limiter.refused(now),
            BusyCause::DeadlineQueued { callers_own: false } => {
                state.limiter.record_missed_deadline(now, self.job_deadline);
            }
            _ => (),
        }
        let retry = state.limiter.reserve_retry(now, fingerprint, rand::rng().random());
        let counter =
            if retry.is_reserved { &self.metrics.reserved } else { &self.metrics.reservations_full };
        counter.inc();
        Fault::busy(cause, retry.after)
    }

    /// Sets the gauges of the limit on jobs and of the capacity estimate.
    pub(super) fn update_limit(&self, state: &mut AdmissionState, now: Instant) {
        self.metrics.limit_jobs.set(state.limiter.limit_jobs(now) as i64);
        self.metrics.capacity.set(state.limiter.capacity(now).unwrap_or(0.0));
    }

    /// Sets the gauges of what is in flight.
    pub(super) fn update_gauges(&self, state: &AdmissionState) {
        self.metrics.requests.set(state.in_flight.requests() as i64);
        self.metrics.bytes.set(state.in_flight.bytes() as i64);
    }
}
