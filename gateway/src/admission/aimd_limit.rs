//! The AIMD concurrency limit: how many jobs this gateway may have in flight at the workers.
//!
//! AIMD (additive increase, multiplicative decrease; Chiu and Jain 1989) is the rule by which TCP sets its congestion
//! window. Here the window is the number of jobs in flight, and the congestion signal is a job's wait: the time between
//! its publish and its answer, less the time that the worker spent on it. The gateway does not count workers, because
//! other gateways share them and their number changes. The wait reflects all of that.
//!
//! - **Waiting is better than being refused.** As long as nobody is refused, waits do not lower the limit: a burst that
//!   is over within its deadline is queued. Once requests are refused anyway, a long queue has no benefit, and the
//!   limit keeps it short.
//! - **Decrease**: while requests are refused, a wait above the target multiplies the limit by `target / wait`, kept
//!   within [`MIN_DECREASE_FACTOR`] and [`MAX_DECREASE_FACTOR`]. A limit far above the number of jobs that the workers
//!   do within the target falls to that number in one step, if the workers' capacity is known. After a decrease the
//!   limit stays for as long as that job had waited, because until then the answers belong to jobs that were admitted
//!   under the old limit.
//! - **Increase**: while requests are refused, a wait of at least half the target adds `1 / limit` per answer, which is
//!   one job per `limit` answers. A wait below half the target adds one job per answer. This doubles the limit in the
//!   time that one queue's worth of jobs takes, like TCP's slow start, so additional workers are in use within seconds.
//! - **Recovery**: an overload is over when nobody has been refused for [`OVERLOAD_MEMORY`]. From then on the limit
//!   doubles each second while waits are within the target. With no job in flight it returns to its maximum at once,
//!   because there is no queue.
//!
//! The proportional factor and the threshold at half the target are this project's choice. The tests in `simulation/`
//! require a goodput of at least 95 % at three times the workers' capacity.

use std::time::{Duration, Instant};

/// The limit never falls below this many jobs: with fewer in flight there are too few answers to notice free workers.
const MIN_LIMIT_JOBS: f64 = 4.0;
/// The strongest single decrease below what the workers are known to do within the target: half of the limit remains.
const MIN_DECREASE_FACTOR: f64 = 0.5;
/// The weakest single decrease: nine tenths of the limit remain.
const MAX_DECREASE_FACTOR: f64 = 0.9;
/// An overload counts as present until nobody has been refused for this long, and for twice the last wait: with slow
/// workers, refusals are rare.
const OVERLOAD_MEMORY: Duration = Duration::from_secs(1);
const OVERLOAD_MEMORY_WAITS: u32 = 2;
/// Upper bound of that time: without a refusal for this long, an overload is over even if jobs have waited for longer.
const MAX_OVERLOAD_MEMORY: Duration = Duration::from_secs(3);

/// The limit of one gateway. It starts at its maximum, because nothing is known of the workers before their first
/// answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct AimdLimit {
    target_wait: Duration,
    max_jobs: f64,
    /// The present limit, in jobs. The fraction carries the small increases.
    limit_jobs: f64,
    /// Whether the limit refused a request since the last answer whose wait was within the target.
    was_binding: bool,
    /// The last time when a request was refused because too many were in flight.
    refused_at: Option<Instant>,
    /// The wait of the job that was answered last.
    last_wait: Duration,
    /// No decrease before this time: until then answers belong to jobs that were admitted before the last decrease.
    decrease_blocked_until: Option<Instant>,
    /// The limit has recovered up to this time.
    recovered_at: Instant,
}

impl AimdLimit {
    /// Allows at most `max_jobs`, and fewer while some requests are refused and others wait longer than `target_wait`.
    pub(super) fn new(now: Instant, target_wait: Duration, max_jobs: usize) -> Self {
        let max_jobs = max_jobs as f64;
        Self {
            target_wait,
            max_jobs,
            limit_jobs: max_jobs,
            was_binding: false,
            refused_at: None,
            last_wait: Duration::ZERO,
            decrease_blocked_until: None,
            recovered_at: now,
        }
    }

    /// The present limit, in whole jobs.
    pub(super) fn jobs(&self) -> usize {
        self.limit_jobs as usize
    }

    /// Records that a request was refused because of this limit.
    pub(super) fn limit_was_binding(&mut self, now: Instant) {
        self.was_binding = true;
        self.refused(now);
    }

    /// Records that a request was refused because too many are in flight, here or in the queue, independently of this
    /// limit.
    pub(super) fn refused(&mut self, now: Instant) {
        self.refused_at = Some(now);
    }

    /// Adapts the limit to the wait of a job that was answered at `now`. `capacity` is that of the workers in jobs per
    /// second, where it is known.
    pub(super) fn record_wait(&mut self, now: Instant, wait: Duration, capacity: Option<f64>) {
        self.last_wait = wait;
        if wait > self.target_wait {
            self.decrease(now, wait, capacity);
        } else if std::mem::take(&mut self.was_binding) {
            let step = if wait < self.target_wait / 2 { 1.0 } else { 1.0 / self.limit_jobs };
            self.limit_jobs = (self.limit_jobs + step).min(self.max_jobs);
        }
    }

    /// Lets the limit recover for the time since the last call, during which at least `in_flight` jobs were in flight.
    pub(super) fn recover(&mut self, now: Instant, in_flight: usize) {
        let elapsed = now.saturating_duration_since(std::mem::replace(&mut self.recovered_at, now));
        if self.is_overloaded(now) {
            return;
        }
        if in_flight == 0 {
            self.limit_jobs = self.max_jobs;
            self.last_wait = Duration::ZERO;
        } else if self.last_wait <= self.target_wait {
            self.limit_jobs = (self.limit_jobs * elapsed.as_secs_f64().exp2()).min(self.max_jobs);
        }
    }

    /// Whether a request was refused recently because too many are in flight.
    pub(super) fn is_overloaded(&self, now: Instant) -> bool {
        let memory = (self.last_wait * OVERLOAD_MEMORY_WAITS).clamp(OVERLOAD_MEMORY, MAX_OVERLOAD_MEMORY);
        self.refused_at.is_some_and(|at| now.saturating_duration_since(at) < memory)
    }

    fn decrease(&mut self, now: Instant, wait: Duration, capacity: Option<f64>) {
        let is_blocked = self.decrease_blocked_until.is_some_and(|until| now < until);
        if is_blocked || !self.is_overloaded(now) {
            return;
        }
        let in_proportion = self.target_wait.div_duration_f64(wait);
        let factor = in_proportion.clamp(MIN_DECREASE_FACTOR, MAX_DECREASE_FACTOR);
        let within_target = capacity.map_or(f64::INFINITY, |rate| rate * self.target_wait.as_secs_f64());
        let in_one_step = within_target.max(self.limit_jobs * in_proportion);
        let limit = (self.limit_jobs * factor).min(in_one_step);
        self.limit_jobs = limit.max(MIN_LIMIT_JOBS.min(self.max_jobs));
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

    /// A limit that has refused a request.
    fn overloaded(now: Instant, max_jobs: usize) -> AimdLimit {
        let mut limit = AimdLimit::new(now, TARGET, max_jobs);
        limit.refused(now);
        limit
    }

    /// A limit after one decrease by half, from `max_jobs`.
    fn halved(now: Instant, max_jobs: usize) -> AimdLimit {
        let mut limit = overloaded(now, max_jobs);
        limit.record_wait(now, TARGET * 2, None);
        limit
    }

    #[test]
    fn waits_cut_nothing_while_nobody_is_refused() {
        let start = Instant::now();
        let mut limit = AimdLimit::new(start, TARGET, 100);
        limit.record_wait(start, TARGET * 20, None);
        assert_eq!(limit.jobs(), 100);
        limit.refused(start);
        limit.record_wait(start, TARGET * 20, None);
        assert_eq!(limit.jobs(), 50);
    }

    #[test]
    fn a_long_wait_cuts_once_until_it_can_have_had_an_effect() {
        let start = Instant::now();
        let mut limit = overloaded(start, 100);
        assert_eq!(limit.jobs(), 100);
        limit.record_wait(start, LONG, None);
        assert_eq!(limit.jobs(), 90);
        limit.record_wait(start + LONG / 2, LONG, None);
        assert_eq!(limit.jobs(), 90);
        limit.record_wait(start + LONG, LONG, None);
        assert_eq!(limit.jobs(), 81);
    }

    #[test]
    fn a_wait_far_above_the_target_cuts_in_proportion_but_never_more_than_half() {
        let start = Instant::now();
        let after = |wait| {
            let mut limit = overloaded(start, 100);
            limit.record_wait(start, wait, None);
            limit.jobs()
        };
        assert_eq!([after(TARGET), after(TARGET * 10 / 7), after(TARGET * 60)], [100, 70, 50]);
    }

    #[test]
    fn a_limit_far_above_the_capacity_falls_to_what_is_done_within_the_target() {
        let start = Instant::now();
        let after = |wait, capacity| {
            let mut limit = overloaded(start, 100);
            limit.record_wait(start, wait, Some(capacity));
            limit.jobs()
        };
        assert_eq!(after(TARGET * 10, 10.0), 10, "in proportion");
        assert_eq!(after(TARGET * 60, 10.0), 5, "the capacity times the target");
        assert_eq!(after(TARGET * 60, 150.0), 50, "a stall, as others had a longer one");
    }

    #[test]
    fn it_grows_slowly_near_the_target_and_fast_below_but_only_where_it_is_binding() {
        let start = Instant::now();
        let grown = |wait: Duration, is_binding: bool| {
            let mut limit = halved(start, 100);
            for _ in 0..20 {
                if is_binding {
                    limit.limit_was_binding(start);
                }
                limit.record_wait(start, wait, None);
            }
            limit.jobs() - 50
        };
        assert_eq!([grown(NEAR, true), grown(SHORT, true)], [0, 20]);
        assert_eq!([grown(NEAR, false), grown(SHORT, false)], [0, 0]);
        let mut limit = halved(start, 100);
        for _ in 0..51 {
            limit.limit_was_binding(start);
            limit.record_wait(start, NEAR, None);
        }
        assert_eq!(limit.jobs(), 51);
    }

    #[test]
    fn once_nobody_is_refused_it_recovers_in_seconds_and_with_nothing_in_flight_at_once() {
        let start = Instant::now();
        let limit_after = |seconds: u64, in_flight: usize, wait: Duration| {
            let mut limit = halved(start, 1000);
            limit.record_wait(start, wait, None);
            for tenths in 0..=seconds * 10 {
                limit.recover(start + Duration::from_millis(tenths * 100), in_flight);
            }
            limit.jobs()
        };
        assert_eq!(limit_after(0, 0, SHORT), 500, "the overload is still present");
        let one_second_later = limit_after(2, 30, SHORT);
        assert!((999..=1000).contains(&one_second_later), "{one_second_later}");
        assert_eq!(limit_after(20, 30, LONG), 500, "there are jobs to wait behind");
        assert_eq!(limit_after(1, 0, SHORT), 1000);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut now = Instant::now();
        for (max_jobs, min_jobs) in [(100, 4), (2, 2)] {
            let mut limit = AimdLimit::new(now, TARGET, max_jobs);
            for _ in 0..100 {
                limit.refused(now);
                limit.record_wait(now, LONG, None);
                now += LONG;
            }
            assert_eq!(limit.jobs(), min_jobs);
            for _ in 0..1000 {
                limit.limit_was_binding(now);
                limit.record_wait(now, SHORT, None);
            }
            assert_eq!(limit.jobs(), max_jobs);
        }
    }
}
