//! The permit of an admitted request.

use std::sync::Arc;
use std::time::Instant;

use super::core::{AdmissionCore, AdmissionState};
use super::fingerprint::RequestFingerprint;
use super::job_limiter::JobStage;
use crate::fault::{BusyCause, Fault};

/// An admitted request's share of the gateway's bounds. Dropping it returns the share.
pub struct InFlightPermit {
    core: Arc<AdmissionCore>,
    client: Arc<str>,
    fingerprint: RequestFingerprint,
    /// `None` while the request has no job, so it does not count against the limit on jobs.
    job: Option<JobStage>,
    /// Bytes of the body that this permit covers.
    bytes: usize,
}

impl InFlightPermit {
    /// Adds a request with the first `bytes` of its body, which the caller has checked, to what is in flight.
    pub(super) fn open(
        core: &Arc<AdmissionCore>,
        state: &mut AdmissionState,
        client: &Arc<str>,
        fingerprint: &RequestFingerprint,
        job: Option<JobStage>,
        bytes: usize,
    ) -> Self {
        state.in_flight.add_request(client, fingerprint.class(), bytes * core.bytes_per_body_byte);
        core.update_gauges(state);
        let core = Arc::clone(core);
        Self { core, client: Arc::clone(client), fingerprint: fingerprint.clone(), job, bytes }
    }

    /// Covers `bytes` more of the body. It refuses instead of waiting: a request that waited for memory would hold
    /// memory that others wait for (deadlock).
    ///
    /// # Errors
    /// [`Fault::Busy`]: the client's share or the gateway's bound on bytes is used up.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        let now = Instant::now();
        let mut state = self.core.lock();
        let memory = bytes * self.core.bytes_per_body_byte;
        let class = self.fingerprint.class();
        let bounds = self.core.bounds.of(class);
        match state.in_flight.add_bytes(now, &self.client, class, memory, bounds) {
            Ok(()) => {
                self.core.update_gauges(&state);
                self.bytes += bytes;
                Ok(())
            }
            Err(cause) => Err(self.core.refuse(&mut state, now, &self.fingerprint, cause)),
        }
    }

    /// Counts this request as a job, for a request that was admitted without one and turns out to need a worker. Its
    /// body counts as complete.
    ///
    /// # Errors
    /// [`Fault::Busy`]: the limit on jobs is reached.
    pub fn begin_job(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        let mut state = self.core.lock();
        let limiter = state.limiters.of_mut(self.fingerprint.class());
        let has_reservation = limiter.take_reservation(now, &self.fingerprint);
        if !limiter.has_capacity(now, has_reservation) {
            return Err(self.core.refuse(&mut state, now, &self.fingerprint, BusyCause::Wait));
        }
        let mut job = limiter.add(now);
        limiter.body_complete(now, &mut job);
        self.job = Some(job);
        Ok(())
    }

    /// Ends the job early: it was answered, and what remains of the request needs no worker.
    pub fn end_job(&mut self) {
        if let Some(job) = self.job.take() {
            let class = self.fingerprint.class();
            self.core.lock().limiters.of_mut(class).remove(Instant::now(), &job);
        }
    }

    /// Records that the whole body has arrived.
    pub fn body_complete(&mut self) {
        if let Some(job) = &mut self.job {
            let class = self.fingerprint.class();
            self.core.lock().limiters.of_mut(class).body_complete(Instant::now(), job);
        }
    }

    /// Bytes of the body that this permit covers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        let class = self.fingerprint.class();
        state.in_flight.remove_request(&self.client, class, self.bytes * self.core.bytes_per_body_byte);
        if let Some(job) = &self.job {
            state.limiters.of_mut(class).remove(Instant::now(), job);
        }
        self.core.update_gauges(&state);
    }
}
