//! Admission control of one gateway on explicit time, for simulations outside this crate.
//!
//! It is the code that admits requests (limit on jobs, capacity estimate, reservations of retries, bounds on what is in
//! flight), without locks, metrics and bytes. So a simulation of a whole installation needs no copy of its rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faceline_shared::settings::Settings;

use super::fingerprint::{ConnectionId, RequestFingerprint};
use super::in_flight::{InFlight, InFlightBounds};
use super::job_class::JobClass;
use super::job_limiter::{JobBounds, JobLimiter, JobStage};
use crate::fault::{Busy, BusyCause};

/// Admission of jobs about pictures by one gateway. Times count from an arbitrary origin and are monotonic.
pub struct AdmissionModel {
    begin: Instant,
    bounds: InFlightBounds,
    limiter: JobLimiter,
    in_flight: InFlight,
}

/// A job that was admitted. Pass it to [`AdmissionModel::answered`] or [`AdmissionModel::missed`] when it ends.
#[derive(Debug)]
pub struct ModelledJob {
    stage: JobStage,
    client: Arc<str>,
}

impl AdmissionModel {
    /// The admission control of a gateway with these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let (limits, begin) = (&settings.limits, Instant::now());
        let bounds = InFlightBounds {
            requests: limits.inflight_jobs,
            bytes: limits.inflight_bytes,
            limit_jobs: limits.inflight_jobs,
            client_share: limits.client_share,
        };
        let limiter = JobLimiter::new(begin, JobBounds::of_pictures(settings));
        Self { begin, bounds, limiter, in_flight: InFlight::default() }
    }

    /// Requests a job of `client` at the time `now`, with a complete body. `request` is the same in every attempt.
    /// `random` is in `0.0..1.0`.
    ///
    /// # Errors
    /// The gateway refuses the request. The error is `Retry-After` in whole seconds.
    pub fn request(
        &mut self,
        now: Duration,
        client: &Arc<str>,
        request: u64,
        random: f64,
    ) -> Result<ModelledJob, u64> {
        let at = self.begin + now;
        let fingerprint = RequestFingerprint::new(request, ConnectionId::default());
        let has_reservation = self.limiter.take_reservation(at, &fingerprint);
        let bounds = InFlightBounds { limit_jobs: self.limiter.limit_jobs(at), ..self.bounds };
        let checked = self.in_flight.check_request(at, client, JobClass::Pictures, 0, &bounds);
        let cause = match checked {
            Ok(()) if self.limiter.has_capacity(at, has_reservation) => None,
            Ok(()) => Some(BusyCause::Wait),
            Err(cause) => Some(cause),
        };
        if let Some(cause) = cause {
            return Err(self.refuse(at, &fingerprint, cause, random));
        }
        let mut stage = self.limiter.add(at);
        self.limiter.body_complete(at, &mut stage);
        self.in_flight.add_request(client, JobClass::Pictures, 0);
        Ok(ModelledJob { stage, client: Arc::clone(client) })
    }

    /// Refuses a request that was admitted, because the broker's queue is full. Returns `Retry-After` in whole seconds.
    pub fn queue_full(&mut self, now: Duration, job: &ModelledJob, request: u64, random: f64) -> u64 {
        let at = self.begin + now;
        self.remove(at, job);
        let fingerprint = RequestFingerprint::new(request, ConnectionId::default());
        self.refuse(at, &fingerprint, BusyCause::QueueFull, random)
    }

    /// Records the answer of a worker that took `service` for a job, which had waited for `wait`.
    pub fn answered(&mut self, now: Duration, job: &ModelledJob, wait: Duration, service: Duration) {
        let at = self.begin + now;
        self.limiter.record_answer(at, wait, service);
        self.remove(at, job);
    }

    /// Records that nobody answered a job within its deadline. Returns `Retry-After` in whole seconds.
    pub fn missed(&mut self, now: Duration, job: &ModelledJob, request: u64, random: f64) -> u64 {
        let at = self.begin + now;
        self.limiter.record_missed_deadline(at, self.limiter.deadline());
        self.remove(at, job);
        let fingerprint = RequestFingerprint::new(request, ConnectionId::default());
        self.limiter.reserve_retry(at, &fingerprint, random).after.as_secs()
    }

    fn refuse(&mut self, at: Instant, request: &RequestFingerprint, cause: BusyCause, random: f64) -> u64 {
        match cause {
            BusyCause::Wait | BusyCause::ClientShare => self.limiter.limit_was_binding(at),
            _ => self.limiter.refused(at),
        }
        let retry_after = self.limiter.reserve_retry(at, request, random).after;
        Busy { cause, retry_after }.retry_after_seconds()
    }

    fn remove(&mut self, at: Instant, job: &ModelledJob) {
        self.limiter.remove(at, &job.stage);
        self.in_flight.remove_request(&job.client, JobClass::Pictures, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_beyond_the_bounds_and_admits_again_once_jobs_are_answered() {
        let settings = Settings::default();
        let mut model = AdmissionModel::new(&settings);
        let clients: Vec<Arc<str>> = ["one", "another", "third"].map(Arc::from).to_vec();
        let now = Duration::from_secs(1);
        let mut admitted = Vec::new();
        for request in 0..1000 {
            admitted.extend(model.request(now, &clients[request % 3], request as u64, 0.5).ok());
        }
        assert_eq!(admitted.len(), settings.limits.inflight_jobs);
        assert!((1..=30).contains(&model.request(now, &clients[0], 2000, 0.5).unwrap_err()));
        let later = now + Duration::from_millis(300);
        for job in &admitted {
            model.answered(later, job, Duration::from_millis(290), Duration::from_millis(10));
        }
        assert!(model.request(later + Duration::from_secs(60), &clients[0], 3000, 0.5).is_ok());
    }
}
