//! Admits or refuses requests.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use rand::RngExt as _;

use super::core::{AdmissionCore, AdmissionState};
use super::fingerprint::{ConnectionId, RequestFingerprint};
use super::in_flight::{InFlight, InFlightBounds};
use super::job_class::{JobClass, PerClass};
use super::job_limiter::{JobBounds, JobLimiter};
use super::metrics::AdmissionMetrics;
use super::permit::InFlightPermit;
use crate::accounts::Caller;
use crate::fault::{BusyCause, Fault};

/// `Retry-After` while the broker or a store is unreachable, before jitter: the longest delay between two attempts to
/// reconnect to the broker (`Backoff::CONNECTION`).
const OUTAGE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Time between two updates of the metrics while there are no requests.
const METRICS_INTERVAL: Duration = Duration::from_millis(500);

/// The target wait of videos is their deadline divided by this. A video takes seconds, so the target of pictures would
/// let a single worker idle.
const VIDEO_DEADLINE_IN_TARGET_WAITS: u32 = 6;

/// With the embedded blob store, this process holds each picture twice: as it was received, and sealed.
const EMBEDDED_BYTES_PER_BODY_BYTE: usize = 2;

/// Admission control of one gateway.
pub struct Admission {
    core: Arc<AdmissionCore>,
    /// Keyed at random, so no caller can construct a request that collides with another caller's.
    hasher: RandomState,
}

impl Admission {
    /// Admission control with the bounds of `config`.
    #[must_use]
    pub fn new(config: &Settings, metrics: &Metrics) -> Arc<Self> {
        let limits = &config.limits;
        let bounds = |requests| InFlightBounds {
            requests,
            bytes: limits.inflight_bytes,
            limit_jobs: requests,
            client_share: limits.client_share,
        };
        let bounds =
            PerClass { pictures: bounds(limits.inflight_jobs), video: bounds(limits.inflight_videos) };
        let settings = &config.admission;
        let pictures = JobBounds::of_pictures(config);
        let video = JobBounds {
            target_wait: config.jobs.video_deadline / VIDEO_DEADLINE_IN_TARGET_WAITS,
            max_jobs: limits.inflight_videos,
            max_retry_after: settings.max_video_retry_after,
            deadline: config.jobs.video_deadline,
        };
        let now = Instant::now();
        let limiters =
            PerClass { pictures: JobLimiter::new(now, pictures), video: JobLimiter::new(now, video) };
        let metrics = AdmissionMetrics::new(metrics);
        metrics.limit_jobs.pictures.set(limits.inflight_jobs as i64);
        metrics.limit_jobs.video.set(limits.inflight_videos as i64);
        let is_embedded = config.blobs_url().is_embedded();
        let core = Arc::new(AdmissionCore {
            bounds,
            bytes_per_body_byte: if is_embedded { EMBEDDED_BYTES_PER_BODY_BYTE } else { 1 },
            state: Mutex::new(AdmissionState { in_flight: InFlight::default(), limiters }),
            metrics,
        });
        Arc::new(Self { core, hasher: RandomState::new() })
    }

    /// The longest body that can ever be admitted, in bytes.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        self.core.bounds.pictures.bytes / self.core.bytes_per_body_byte
    }

    /// The fingerprint by which a retry of a request to `path` with a body of `length` bytes is recognised.
    #[must_use]
    pub fn fingerprint(
        &self,
        caller: &Caller,
        path: &str,
        length: Option<u64>,
        connection: ConnectionId,
    ) -> RequestFingerprint {
        RequestFingerprint::new(self.hasher.hash_one((&caller.key_id, path, length)), connection)
    }

    /// Admits a request of `caller` that makes a job, with the first `bytes` of its body.
    ///
    /// # Errors
    /// [`Fault::Busy`]: a bound or the limit on jobs is reached. It carries the cause and when to retry.
    pub fn admit(
        &self,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        bytes: usize,
    ) -> Result<InFlightPermit, Fault> {
        self.admit_at(Instant::now(), caller, fingerprint, bytes)
    }

    /// Admits a request that makes no job. The bounds on requests and bytes apply to it, the limit on jobs does not.
    ///
    /// # Errors
    /// [`Fault::Busy`]: a bound is reached. It carries the cause and when to retry.
    pub fn admit_without_job(
        &self,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        bytes: usize,
    ) -> Result<InFlightPermit, Fault> {
        let core = &self.core;
        let now = Instant::now();
        let mut state = core.lock();
        let memory = bytes * core.bytes_per_body_byte;
        let class = fingerprint.class();
        let bounds = core.bounds.of(class);
        if let Err(cause) = state.in_flight.check_request(now, &caller.client, class, memory, bounds) {
            return Err(core.refuse(&mut state, now, fingerprint, cause));
        }
        Ok(InFlightPermit::open(core, &mut state, &caller.client, fingerprint, None, bytes))
    }

    pub(super) fn admit_at(
        &self,
        now: Instant,
        caller: &Caller,
        fingerprint: &RequestFingerprint,
        bytes: usize,
    ) -> Result<InFlightPermit, Fault> {
        let core = &self.core;
        let mut state = core.lock();
        let class = fingerprint.class();
        let has_reservation = state.limiters.of_mut(class).take_reservation(now, fingerprint);
        if has_reservation {
            core.metrics.reservations_used.inc();
        }
        let memory = bytes * core.bytes_per_body_byte;
        if let Err(cause) = core.check_job(&mut state, now, &caller.client, class, has_reservation, memory) {
            return Err(core.refuse(&mut state, now, fingerprint, cause));
        }
        let job = state.limiters.of_mut(class).add(now);
        Ok(InFlightPermit::open(core, &mut state, &caller.client, fingerprint, Some(job), bytes))
    }

    /// Records that a worker did a job of `class` in the time `service`. `wait` is the rest of the time from the job's
    /// publish to its answer.
    pub fn record_answer(&self, class: JobClass, wait: Duration, service: Duration) {
        let now = Instant::now();
        let mut state = self.core.lock();
        state.limiters.of_mut(class).record_answer(now, wait, service);
        self.core.update_limits(&mut state, now);
    }

    /// Keeps the metrics up to date for ever. The limit recovers with time, also while there are no requests.
    pub async fn update_metrics(self: Arc<Self>) {
        let mut interval = tokio::time::interval(METRICS_INTERVAL);
        loop {
            interval.tick().await;
            self.core.update_limits(&mut self.core.lock(), Instant::now());
        }
    }

    /// The answer to a request that cannot be served for `cause`, whether or not it was admitted before.
    #[must_use]
    pub fn refusal(&self, fingerprint: &RequestFingerprint, cause: BusyCause) -> Fault {
        match cause {
            BusyCause::BrokerUnreachable | BusyCause::BrokerBlocked | BusyCause::StoreUnreachable => {
                outage(cause)
            }
            _ => self.core.refuse(&mut self.core.lock(), Instant::now(), fingerprint, cause),
        }
    }
}

/// The answer to a request while the broker or a store, which `cause` names, cannot be used.
#[must_use]
pub fn outage(cause: BusyCause) -> Fault {
    // With jitter, so requests that were refused together are not retried together.
    Fault::busy(cause, OUTAGE_RETRY_AFTER.mul_f64(rand::rng().random_range(1.0..1.5)))
}
