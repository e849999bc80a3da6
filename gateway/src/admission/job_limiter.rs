//! Decides whether one more job may start, and when a refused request should be retried.
//!
//! Combines the [`AimdLimit`] on jobs in flight, the [`CapacityEstimate`] and the [`RetryReservations`] of one gateway.
//! All of it runs on explicit time, so tests simulate minutes in milliseconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use faceline_shared::settings::Settings;

use super::aimd_limit::AimdLimit;
use super::capacity::CapacityEstimate;
use super::fingerprint::RequestFingerprint;
use super::mean_in_flight::MeanInFlight;
use super::retry_reservations::{RetryCapacity, RetryReservations, RetryTime};

/// A job whose body takes longer than this to arrive stops counting until the body is complete. A slow sender occupies
/// no worker meanwhile, and must not keep others from the workers.
const MAX_COUNTED_ARRIVAL: Duration = Duration::from_secs(2);
/// Upper bound of the fraction of the limit that is held back for retries that are expected now. If fewer are expected,
/// less is held back. So retries with a reservation have precedence, and no worker idles for retries that do not come.
const MAX_HELD_BACK: f64 = 0.25;
/// A wait of at least the target wait divided by this shows that all workers were busy. The broker's own latency is
/// lower.
const BUSY_WAIT_DIVISOR: u32 = 4;
/// A job is admitted if it is expected to wait for at most this fraction of its deadline. The rest is for its service,
/// and for gateways that share the queue and know nothing of each other.
const MAX_EXPECTED_WAIT: f64 = 0.5;
/// Slow workers do not lower the limit below this many jobs: with fewer in flight, free workers would go unnoticed.
const MIN_JOBS: usize = 4;
/// Capacity in jobs per second that is assumed before the first answer.
const UNKNOWN_CAPACITY: f64 = 10.0;
/// After this long without any job, an earlier overload is forgotten.
const IDLE_TO_FORGET: Duration = Duration::from_secs(1);
/// The workers count as unavailable if jobs wait and none has been answered for this long, nor for
/// [`CapacityEstimate::max_pause`] if that is longer.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Earliest retry while the workers are unavailable.
const STALL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Limits the jobs of one gateway.
pub(super) struct JobLimiter {
    bounds: JobBounds,
    limit: AimdLimit,
    capacity: CapacityEstimate,
    reservations: RetryReservations,
    /// Jobs whose body is arriving: the time of their admission, by number.
    arriving: BTreeMap<u64, Instant>,
    /// Number of the job that was admitted last.
    last_number: u64,
    /// Jobs in flight whose body is complete.
    complete: usize,
    mean_in_flight: MeanInFlight,
    /// The time since which there is no job in flight.
    idle_since: Option<Instant>,
    /// The time since which jobs with complete bodies wait for an answer. Each answer sets it anew.
    waiting_since: Instant,
}

/// The bounds of a [`JobLimiter`].
#[derive(Clone, Copy, Debug)]
pub(super) struct JobBounds {
    /// While jobs have to be refused, the others should wait for about this time.
    pub(super) target_wait: Duration,
    /// Maximum number of jobs in flight.
    pub(super) max_jobs: usize,
    /// The longest `Retry-After`.
    pub(super) max_retry_after: Duration,
    /// A job must be answered within this time.
    pub(super) deadline: Duration,
}

impl JobBounds {
    /// The bounds of jobs about pictures.
    pub(super) fn of_pictures(settings: &Settings) -> Self {
        Self {
            target_wait: settings.admission.target_wait,
            max_jobs: settings.limits.inflight_jobs,
            max_retry_after: settings.admission.max_retry_after,
            deadline: settings.jobs.deadline,
        }
    }
}

/// The stage that a job in flight has reached.
#[derive(Debug)]
pub(super) enum JobStage {
    /// The body of the job with this number is arriving.
    Arriving(u64),
    /// The body is complete.
    Complete,
}

impl JobLimiter {
    /// A limiter that has no knowledge of the workers yet.
    pub(super) fn new(now: Instant, bounds: JobBounds) -> Self {
        Self {
            limit: AimdLimit::new(now, bounds.target_wait, bounds.max_jobs),
            capacity: CapacityEstimate::new(bounds.target_wait / BUSY_WAIT_DIVISOR),
            reservations: RetryReservations::new(now, bounds.max_retry_after),
            bounds,
            arriving: BTreeMap::new(),
            last_number: 0,
            complete: 0,
            mean_in_flight: MeanInFlight::new(now),
            idle_since: Some(now),
            waiting_since: now,
        }
    }

    /// The deadline of a job. A job that was not answered has waited for this long.
    pub(super) fn deadline(&self) -> Duration {
        self.bounds.deadline
    }

    /// The present limit, in jobs: the AIMD limit, but at most as many as are expected to be answered in time.
    pub(super) fn limit_jobs(&mut self, now: Instant) -> usize {
        self.advance_to(now);
        self.present_limit(now)
    }

    /// The capacity estimate in jobs per second; `None` before the first answer.
    pub(super) fn capacity(&self, now: Instant) -> Option<f64> {
        self.capacity.per_second(now)
    }

    /// Uses up a retry reservation of `fingerprint` that is due; returns whether there was one.
    pub(super) fn take_reservation(&mut self, now: Instant, fingerprint: &RequestFingerprint) -> bool {
        self.advance_to(now);
        self.reservations.take(now, fingerprint)
    }

    /// Whether one more job fits under the limit. A job without a reservation must also leave the capacity that is held
    /// back for the retries that are expected now.
    pub(super) fn has_capacity(&mut self, now: Instant, has_reservation: bool) -> bool {
        let limit = self.limit_jobs(now) as f64;
        let held_back =
            if has_reservation { 0.0 } else { self.reservations.expected(now).min(limit * MAX_HELD_BACK) };
        (self.jobs_in_flight() + 1) as f64 <= limit - held_back.ceil()
    }

    /// Adds a job whose body starts to arrive.
    pub(super) fn add(&mut self, now: Instant) -> JobStage {
        self.advance_to(now);
        self.last_number += 1;
        self.arriving.insert(self.last_number, now);
        self.idle_since = None;
        JobStage::Arriving(self.last_number)
    }

    /// Records that the body of a job is complete.
    pub(super) fn body_complete(&mut self, now: Instant, stage: &mut JobStage) {
        if let JobStage::Arriving(number) = *stage {
            self.advance_to(now);
            self.arriving.remove(&number);
            if self.complete == 0 {
                self.waiting_since = now;
            }
            self.complete += 1;
            self.idle_since = None;
            *stage = JobStage::Complete;
        }
    }

    /// Records that a worker did a job in the time `service`, for which it had waited for `wait`. Adapts the limit.
    pub(super) fn record_answer(&mut self, now: Instant, wait: Duration, service: Duration) {
        self.advance_to(now);
        self.waiting_since = now;
        self.capacity.record(now, wait, service);
        self.limit.record_wait(now, wait, self.capacity.measured_per_second(now));
    }

    /// Records that a job was not answered although it had waited for `wait`.
    pub(super) fn record_missed_deadline(&mut self, now: Instant, wait: Duration) {
        self.advance_to(now);
        self.limit.refused(now);
        self.limit.record_wait(now, wait, self.capacity.measured_per_second(now));
    }

    /// Removes a job, however it ended.
    pub(super) fn remove(&mut self, now: Instant, stage: &JobStage) {
        self.advance_to(now);
        match stage {
            JobStage::Arriving(number) => drop(self.arriving.remove(number)),
            JobStage::Complete => self.complete -= 1,
        }
        if self.jobs_in_flight() == 0 {
            self.idle_since.get_or_insert(now);
        }
    }

    /// Records that a request was refused because of the limit on jobs.
    pub(super) fn limit_was_binding(&mut self, now: Instant) {
        self.advance_to(now);
        self.limit.limit_was_binding(now);
    }

    /// Records that a request was refused because of another bound on what is in flight.
    pub(super) fn refused(&mut self, now: Instant) {
        self.advance_to(now);
        self.limit.refused(now);
    }

    /// Reserves a retry for the refused request of `fingerprint`. `random` is in `0.0..1.0`.
    pub(super) fn reserve_retry(
        &mut self,
        now: Instant,
        fingerprint: &RequestFingerprint,
        random: f64,
    ) -> RetryTime {
        self.advance_to(now);
        let limit = self.present_limit(now);
        // Every job is over after its deadline, so this rate holds even if no job is ever answered.
        let min_rate = self.jobs_in_flight() as f64 / self.bounds.deadline.as_secs_f64();
        let known = self.capacity.per_second(now);
        let per_second = known.unwrap_or(UNKNOWN_CAPACITY).max(min_rate);
        let are_unavailable = self.are_workers_unavailable(now);
        let free_jobs = if are_unavailable || known.is_none() {
            // The gateway does not know how many jobs it may take then. Callers who are refused now may return
            // within the same second.
            per_second
        } else {
            // The part that is held back is for the retries that come in the meantime.
            (limit as f64 * (1.0 - MAX_HELD_BACK) - self.mean_in_flight.jobs()).max(0.0)
        };
        let earliest = if are_unavailable { STALL_RETRY_AFTER } else { self.excess_time(limit, per_second) };
        let capacity = RetryCapacity { per_second, free_jobs, earliest };
        self.reservations.reserve(now, fingerprint, capacity, random)
    }

    /// The time until no more jobs than the limit are in flight. After a decrease there may be more.
    fn excess_time(&self, limit: usize, capacity: f64) -> Duration {
        let excess_jobs = self.jobs_in_flight().saturating_sub(limit);
        Duration::try_from_secs_f64(excess_jobs as f64 / capacity).unwrap_or(Duration::MAX)
    }

    fn are_workers_unavailable(&self, now: Instant) -> bool {
        self.complete > 0
            && now.saturating_duration_since(self.waiting_since)
                > STALL_TIMEOUT.max(self.capacity.max_pause())
    }

    fn present_limit(&self, now: Instant) -> usize {
        let max_wait = self.bounds.deadline.as_secs_f64() * MAX_EXPECTED_WAIT;
        let in_time = self.capacity.measured_per_second(now).map(|capacity| (capacity * max_wait) as usize);
        let limit = self.limit.jobs();
        in_time.map_or(limit, |in_time| limit.min(in_time.max(MIN_JOBS)))
    }

    /// Advances all state that depends on time to `now`, before something changes.
    fn advance_to(&mut self, now: Instant) {
        while let Some(oldest) = self.arriving.first_entry()
            && now.saturating_duration_since(*oldest.get()) > MAX_COUNTED_ARRIVAL
        {
            oldest.remove();
        }
        let in_flight = self.jobs_in_flight();
        if in_flight == 0 {
            self.idle_since.get_or_insert(now);
        }
        self.mean_in_flight.advance(now, in_flight);
        self.limit.recover(now, in_flight);
        if self.idle_since.is_some_and(|since| now.saturating_duration_since(since) >= IDLE_TO_FORGET) {
            self.reservations.clear(now);
        }
    }

    /// Jobs that count against the limit.
    fn jobs_in_flight(&self) -> usize {
        self.arriving.len() + self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::ConnectionId;
    use super::*;

    const TARGET: Duration = Duration::from_millis(500);

    fn fingerprint(caller: u64) -> RequestFingerprint {
        RequestFingerprint::new(caller, ConnectionId::default())
    }

    fn limiter(now: Instant, max_jobs: usize) -> JobLimiter {
        let longest = Duration::from_secs(30);
        JobLimiter::new(
            now,
            JobBounds { target_wait: TARGET, max_jobs, max_retry_after: longest, deadline: longest },
        )
    }

    #[test]
    fn slow_bodies_do_not_keep_others_from_the_workers() {
        let start = Instant::now();
        let mut limiter = limiter(start, 4);
        let mut stages: Vec<_> = (0..4).map(|_| limiter.add(start)).collect();
        assert!(!limiter.has_capacity(start, false));
        let later = start + MAX_COUNTED_ARRIVAL + Duration::from_millis(1);
        assert!(limiter.has_capacity(later, false));
        // Once the bodies are complete, the jobs count.
        for stage in &mut stages {
            limiter.body_complete(later, stage);
        }
        assert!(!limiter.has_capacity(later, false));
        for stage in stages {
            limiter.remove(later, &stage);
        }
        assert_eq!(limiter.jobs_in_flight(), 0);
    }

    #[test]
    fn a_caller_who_comes_as_told_goes_first() {
        let start = Instant::now();
        let mut limiter = limiter(start, 8);
        let mut job = limiter.add(start);
        limiter.body_complete(start, &mut job);
        for caller in 0..4 {
            assert_eq!(limiter.reserve_retry(start, &fingerprint(caller), 0.0).after, Duration::from_secs(1));
        }
        let later = start + Duration::from_secs(1);
        let _in = [(); 5].map(|()| limiter.add(later));
        assert!(!limiter.has_capacity(later, false), "a quarter is held back");
        assert!(limiter.take_reservation(later, &fingerprint(3)));
        assert!(limiter.has_capacity(later, true));
        // Nothing is held back for retries that do not come.
        assert!(limiter.has_capacity(later + Duration::from_secs(1), false));
    }

    #[test]
    fn too_many_on_their_way_are_done_first() {
        let start = Instant::now();
        let mut limiter = limiter(start, 100);
        for _ in 0..100 {
            let mut stage = limiter.add(start);
            limiter.body_complete(start, &mut stage);
        }
        limiter.refused(start);
        limiter.record_answer(start, TARGET * 2, Duration::from_millis(100));
        assert_eq!(limiter.limit_jobs(start), 50);
        let retry = limiter.reserve_retry(start, &fingerprint(1), 0.0);
        assert_eq!(retry, RetryTime { after: Duration::from_secs(5), is_reserved: true });
    }
}
