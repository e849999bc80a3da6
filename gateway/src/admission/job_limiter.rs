//! Decides whether one more job may start, and when a refused request should be retried.
//!
//! Joins the [`AimdLimit`] on jobs in flight, the [`CompletionRate`] and the [`RetryReservations`] of one gateway. All
//! of it runs on explicit time, so tests simulate minutes in milliseconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::aimd_limit::AimdLimit;
use super::completion_rate::CompletionRate;
use super::fingerprint::RequestFingerprint;
use super::retry_reservations::{RetryReservations, RetryTime};

/// A job whose body takes longer than this to arrive stops counting until the body is complete. A slow sender occupies
/// no worker meanwhile, and must not keep others from the workers.
const MAX_COUNTED_ARRIVAL: Duration = Duration::from_secs(2);
/// Upper bound of the fraction of the limit that is held back for retries that are expected now. If fewer are expected,
/// less is held back. So retries with a reservation go first, and no worker idles for retries that do not come.
const MAX_HELD_BACK: f64 = 0.25;

/// Limits the jobs of one gateway.
pub(super) struct JobLimiter {
    limit: AimdLimit,
    completion_rate: CompletionRate,
    reservations: RetryReservations,
    /// Jobs whose body is arriving: the time of their admission, by number.
    arriving: BTreeMap<u64, Instant>,
    /// Number of the job that was admitted last.
    last_number: u64,
    /// Jobs in flight whose body is complete.
    complete: usize,
}

/// How far a job in flight has come.
#[derive(Debug)]
pub(super) enum JobStage {
    /// The body of the job with this number is arriving.
    Arriving(u64),
    /// The body is complete.
    Complete,
}

impl JobLimiter {
    /// Allows at most `max_jobs`, and fewer while they wait longer than `target_wait`. Retries are asked for within
    /// `max_retry_after`.
    pub(super) fn new(
        now: Instant,
        target_wait: Duration,
        max_jobs: usize,
        max_retry_after: Duration,
    ) -> Self {
        Self {
            limit: AimdLimit::new(target_wait, max_jobs),
            completion_rate: CompletionRate::new(now),
            reservations: RetryReservations::new(now, max_retry_after),
            arriving: BTreeMap::new(),
            last_number: 0,
            complete: 0,
        }
    }

    /// The present AIMD limit, in jobs.
    pub(super) fn limit_jobs(&self) -> usize {
        self.limit.jobs()
    }

    /// Uses up a retry reservation of `fingerprint` that is due; returns whether there was one.
    pub(super) fn take_reservation(&mut self, now: Instant, fingerprint: &RequestFingerprint) -> bool {
        self.reservations.take(now, fingerprint)
    }

    /// Whether one more job fits under the limit. Without a reservation it also leaves room for the retries that are
    /// expected now.
    pub(super) fn has_room(&mut self, now: Instant, has_reservation: bool) -> bool {
        let limit = self.limit.jobs() as f64;
        let held_back =
            if has_reservation { 0.0 } else { self.reservations.expected(now).min(limit * MAX_HELD_BACK) };
        (self.jobs_in_flight(now) + 1) as f64 <= limit - held_back.ceil()
    }

    /// Adds a job whose body starts to arrive.
    pub(super) fn add(&mut self, now: Instant) -> JobStage {
        self.last_number += 1;
        self.arriving.insert(self.last_number, now);
        JobStage::Arriving(self.last_number)
    }

    /// Records that the body of a job is complete.
    pub(super) fn body_complete(&mut self, stage: &mut JobStage) {
        if let JobStage::Arriving(number) = *stage {
            self.arriving.remove(&number);
            self.complete += 1;
            *stage = JobStage::Complete;
        }
    }

    /// Records that a worker answered a job which had waited for `wait`, and adapts the limit.
    pub(super) fn record_wait(&mut self, now: Instant, wait: Duration) {
        self.completion_rate.record(now);
        self.limit.record_wait(now, wait);
    }

    /// Removes a job, however it ended.
    pub(super) fn remove(&mut self, stage: &JobStage) {
        match stage {
            JobStage::Arriving(number) => drop(self.arriving.remove(number)),
            JobStage::Complete => self.complete -= 1,
        }
    }

    /// Records that a request was refused because of the AIMD limit.
    pub(super) fn limit_was_binding(&mut self) {
        self.limit.limit_was_binding();
    }

    /// Reserves a retry for the refused request of `fingerprint`. `min_rate` is a completion rate in jobs per second
    /// that holds even before any answer was seen; `random` is in `0.0..1.0`.
    pub(super) fn reserve_retry(
        &mut self,
        now: Instant,
        fingerprint: &RequestFingerprint,
        min_rate: f64,
        random: f64,
    ) -> RetryTime {
        let rate = self.completion_rate.per_second(now).max(min_rate);
        // After a decrease more jobs than the limit may be in flight. They complete first.
        let excess_jobs = self.jobs_in_flight(now).saturating_sub(self.limit.jobs());
        let earliest = Duration::try_from_secs_f64(excess_jobs as f64 / rate).unwrap_or_default();
        self.reservations.reserve(now, fingerprint, rate, earliest, random)
    }

    /// Jobs that count against the limit at `now`.
    fn jobs_in_flight(&mut self, now: Instant) -> usize {
        while let Some(oldest) = self.arriving.first_entry()
            && now.saturating_duration_since(*oldest.get()) > MAX_COUNTED_ARRIVAL
        {
            oldest.remove();
        }
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
        JobLimiter::new(now, TARGET, max_jobs, Duration::from_secs(30))
    }

    #[test]
    fn slow_bodies_do_not_keep_others_from_the_workers() {
        let start = Instant::now();
        let mut limiter = limiter(start, 4);
        let mut stages: Vec<_> = (0..4).map(|_| limiter.add(start)).collect();
        assert!(!limiter.has_room(start, false));
        let later = start + MAX_COUNTED_ARRIVAL + Duration::from_millis(1);
        assert!(limiter.has_room(later, false));
        // Once the bodies are complete, the jobs count.
        for stage in &mut stages {
            limiter.body_complete(stage);
        }
        assert!(!limiter.has_room(later, false));
        for stage in stages {
            limiter.remove(&stage);
        }
        assert_eq!(limiter.jobs_in_flight(later), 0);
    }

    #[test]
    fn a_caller_who_comes_as_told_goes_first() {
        let start = Instant::now();
        let mut limiter = limiter(start, 8);
        for caller in 0..4 {
            assert_eq!(
                limiter.reserve_retry(start, &fingerprint(caller), 100.0, 0.0).after,
                Duration::from_secs(1)
            );
        }
        let later = start + Duration::from_secs(1);
        let _in = [(); 6].map(|()| limiter.add(later));
        assert!(!limiter.has_room(later, false), "a quarter is held back");
        assert!(limiter.take_reservation(later, &fingerprint(3)));
        assert!(limiter.has_room(later, true));
        // Nothing is held back for retries that do not come.
        assert!(limiter.has_room(later + Duration::from_secs(1), false));
    }

    #[test]
    fn too_many_on_their_way_are_done_first() {
        let start = Instant::now();
        let mut limiter = limiter(start, 100);
        for _ in 0..100 {
            let mut stage = limiter.add(start);
            limiter.body_complete(&mut stage);
        }
        limiter.record_wait(start, TARGET * 2);
        assert_eq!(limiter.limit_jobs(), 50);
        let retry = limiter.reserve_retry(start, &fingerprint(1), 10.0, 0.0);
        assert_eq!(retry, RetryTime { after: Duration::from_secs(5), is_reserved: true });
    }
}
