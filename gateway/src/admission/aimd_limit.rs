//! The AIMD concurrency limit: how many jobs this gateway may have in flight at the workers.
//!
//! AIMD (additive increase, multiplicative decrease; Chiu and Jain 1989) is the rule by which TCP sets its congestion
//! window. Here the window is the number of jobs in flight, and the congestion signal is a job's wait: the time between
//! its publish and its answer, less the time that the worker spent on it. The gateway does not count workers, because
//! they are shared with other gateways and come and go. The wait reflects all of that.
//!
//! - **Decrease**: a wait above the target multiplies the limit by `target / wait`, kept within
//!   [`MIN_DECREASE_FACTOR`] and [`MAX_DECREASE_FACTOR`]. After a decrease the limit stays for as long as that job had
//!   waited, because until then the answers belong to jobs that were admitted under the old limit.
//! - **Increase**: a wait of at least half the target adds `1 / limit` per answer, which is one job per `limit`
//!   answers. A wait below half the target adds one job per answer. This doubles the limit in the time that one queue's
//!   worth of jobs takes, like TCP's slow start, so a fleet that has grown is in use within seconds.
//! - **Only a binding limit grows**: the limit increases only if it has refused a request since the last answer.
//!   Otherwise every quiet night would raise it to its maximum, and the first burst of the morning would wait behind
//!   everything that was admitted.
//!
//! The proportional factor and the threshold at half the target are this project's choice. The tests in `simulation.rs`
//! hold them to a goodput of at least 90 % at three times the workers' capacity.

use std::time::{Duration, Instant};

/// The limit never falls below this many jobs: with fewer in flight there are too few answers to notice free workers.
const MIN_LIMIT_JOBS: f64 = 4.0;
/// The strongest single decrease: half of the limit remains.
const MIN_DECREASE_FACTOR: f64 = 0.5;
/// The weakest single decrease: nine tenths of the limit remain.
const MAX_DECREASE_FACTOR: f64 = 0.9;

/// The limit of one gateway. It starts at its maximum, because nothing is known of the workers before their first
/// answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct AimdLimit {
    target_wait: Duration,
    max_jobs: f64,
    /// The present limit, in jobs. The fraction carries the small increases.
    limit_jobs: f64,
    /// The limit refused a request since the last answer.
    was_binding: bool,
    /// No decrease before this time: until then answers belong to jobs that were admitted before the last decrease.
    decrease_blocked_until: Option<Instant>,
}

impl AimdLimit {
    /// Allows at most `max_jobs`, and fewer while jobs wait longer than `target_wait`.
    pub(super) fn new(target_wait: Duration, max_jobs: usize) -> Self {
        let max_jobs = max_jobs as f64;
        Self { target_wait, max_jobs, limit_jobs: max_jobs, was_binding: false, decrease_blocked_until: None }
    }

    /// The present limit, in whole jobs.
    pub(super) fn jobs(&self) -> usize {
        self.limit_jobs as usize
    }

    /// Records that a request was refused because of this limit.
    pub(super) fn limit_was_binding(&mut self) {
        self.was_binding = true;
    }

    /// Adapts the limit to the wait of a job that was answered at `now`.
    pub(super) fn record_wait(&mut self, now: Instant, wait: Duration) {
        if wait > self.target_wait {
            self.decrease(now, wait);
        } else if std::mem::take(&mut self.was_binding) {
            let step = if wait < self.target_wait / 2 { 1.0 } else { 1.0 / self.limit_jobs };
            self.limit_jobs = (self.limit_jobs + step).min(self.max_jobs);
        }
    }

    fn decrease(&mut self, now: Instant, wait: Duration) {
        if self.decrease_blocked_until.is_some_and(|until| now < until) {
            return;
        }
        let factor = self.target_wait.div_duration_f64(wait).clamp(MIN_DECREASE_FACTOR, MAX_DECREASE_FACTOR);
        self.limit_jobs = (self.limit_jobs * factor).max(MIN_LIMIT_JOBS.min(self.max_jobs));
        self.decrease_blocked_until = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(500);
    const SHORT: Duration = Duration::from_millis(100);
    const NEAR: Duration = Duration::from_millis(400);
    const LONG: Duration = Duration::from_millis(510);

    /// A limit after one decrease by half, from `max_jobs`.
    fn halved(now: Instant, max_jobs: usize) -> AimdLimit {
        let mut limit = AimdLimit::new(TARGET, max_jobs);
        limit.record_wait(now, TARGET * 2);
        limit
    }

    #[test]
    fn a_long_wait_cuts_once_until_it_can_have_had_an_effect() {
        let start = Instant::now();
        let mut limit = AimdLimit::new(TARGET, 100);
        assert_eq!(limit.jobs(), 100);
        limit.record_wait(start, LONG);
        assert_eq!(limit.jobs(), 90);
        limit.record_wait(start + LONG / 2, LONG);
        assert_eq!(limit.jobs(), 90);
        limit.record_wait(start + LONG, LONG);
        assert_eq!(limit.jobs(), 81);
    }

    #[test]
    fn a_wait_far_above_the_target_cuts_in_proportion_but_never_more_than_half() {
        let start = Instant::now();
        let after = |wait| {
            let mut limit = AimdLimit::new(TARGET, 100);
            limit.record_wait(start, wait);
            limit.jobs()
        };
        assert_eq!([after(TARGET), after(TARGET * 10 / 7), after(TARGET * 60)], [100, 70, 50]);
    }

    #[test]
    fn it_grows_slowly_near_the_target_and_fast_below_but_only_where_it_is_binding() {
        let start = Instant::now();
        let grown = |wait: Duration, is_binding: bool| {
            let mut limit = halved(start, 100);
            for _ in 0..20 {
                if is_binding {
                    limit.limit_was_binding();
                }
                limit.record_wait(start, wait);
            }
            limit.jobs() - 50
        };
        assert_eq!([grown(NEAR, true), grown(SHORT, true)], [0, 20]);
        assert_eq!([grown(NEAR, false), grown(SHORT, false)], [0, 0]);
        let mut limit = halved(start, 100);
        for _ in 0..51 {
            limit.limit_was_binding();
            limit.record_wait(start, NEAR);
        }
        assert_eq!(limit.jobs(), 51);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut now = Instant::now();
        for (max_jobs, min_jobs) in [(100, 4), (2, 2)] {
            let mut limit = AimdLimit::new(TARGET, max_jobs);
            for _ in 0..100 {
                limit.record_wait(now, LONG);
                now += LONG;
            }
            assert_eq!(limit.jobs(), min_jobs);
            for _ in 0..1000 {
                limit.limit_was_binding();
                limit.record_wait(now, SHORT);
            }
            assert_eq!(limit.jobs(), max_jobs);
        }
    }
}
