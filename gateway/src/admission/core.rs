//! The state that admission and its permits share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rand::RngExt as _;

use super::fingerprint::RequestFingerprint;
use super::in_flight::{InFlight, InFlightBounds};
use super::job_class::{JobClass, PerClass};
use super::job_limiter::JobLimiter;
use super::metrics::AdmissionMetrics;
use crate::fault::{BusyCause, Fault};

/// Bounds, counters and job limiters of one gateway.
pub(super) struct AdmissionCore {
    pub(super) bounds: PerClass<InFlightBounds>,
    /// Bytes of memory that one byte of a body occupies.
    pub(super) bytes_per_body_byte: usize,
    pub(super) state: Mutex<AdmissionState>,
    pub(super) metrics: AdmissionMetrics,
}

/// The state that changes with each request.
pub(super) struct AdmissionState {
    pub(super) in_flight: InFlight,
    pub(super) limiters: PerClass<JobLimiter>,
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
        class: JobClass,
        has_reservation: bool,
        bytes: usize,
    ) -> Result<(), BusyCause> {
        let limiter = state.limiters.of_mut(class);
        let limit_jobs = limiter.limit_jobs(now);
        self.metrics.limit_jobs.of(class).set(limit_jobs as i64);
        let bounds = InFlightBounds { limit_jobs, ..*self.bounds.of(class) };
        state.in_flight.check_request(now, client, class, bytes, &bounds)?;
        if limiter.has_capacity(now, has_reservation) { Ok(()) } else { Err(BusyCause::Wait) }
    }

    /// The refusal for `cause`, with a `Retry-After` for which capacity is reserved where there is any.
    pub(super) fn refuse(
        &self,
        state: &mut AdmissionState,
        now: Instant,
        fingerprint: &RequestFingerprint,
        cause: BusyCause,
    ) -> Fault {
        let limiter = state.limiters.of_mut(fingerprint.class());
        match cause {
            BusyCause::Wait | BusyCause::ClientShare => limiter.limit_was_binding(now),
            BusyCause::InFlight | BusyCause::QueueFull => limiter.refused(now),
            BusyCause::DeadlineQueued { callers_own: false } => {
                limiter.record_missed_deadline(now, limiter.deadline());
            }
            _ => (),
        }
        let retry = limiter.reserve_retry(now, fingerprint, rand::rng().random());
        let counter =
            if retry.is_reserved { &self.metrics.reserved } else { &self.metrics.reservations_full };
        counter.inc();
        Fault::busy(cause, retry.after)
    }

    /// Sets the gauges of the limits on jobs and of the capacity estimates.
    pub(super) fn update_limits(&self, state: &mut AdmissionState, now: Instant) {
        for class in [JobClass::Pictures, JobClass::Video] {
            let limiter = state.limiters.of_mut(class);
            self.metrics.limit_jobs.of(class).set(limiter.limit_jobs(now) as i64);
            self.metrics.capacity.of(class).set(limiter.capacity(now).unwrap_or(0.0));
        }
    }

    /// Sets the gauges of what is in flight.
    pub(super) fn update_gauges(&self, state: &AdmissionState) {
        self.metrics.requests.set(state.in_flight.requests() as i64);
        self.metrics.bytes.set(state.in_flight.bytes() as i64);
    }
}
