//! How many jobs may be on their way at the same time: as many as keeps the wait of a job near its target.
//!
//! Workers are shared with other gateways and come and go, so their number says little; the wait of a job says all. A
//! wait above the target makes the limit smaller, by a tenth or, where the wait is further above, in proportion, but
//! never by more than half; and then not again for as long as the job had waited, since until then answers are of jobs
//! that were let in before. A wait below the target makes it larger: near the target by one for `limit` answers, and
//! below half of the target by one for each, which doubles the limit within one turn of the queue. So a fleet that
//! has grown is used within seconds.
//!
//! The limit grows only where it has refused somebody. Otherwise each quiet night would take it to its bound, and the
//! morning's first burst would have to wait for all that was let in.

use std::time::{Duration, Instant};

/// The limit is never smaller: no answer would tell any more that there is room again.
const FEWEST: f64 = 4.0;
/// What a cut leaves at most and at least.
const SMALL_CUT: f64 = 0.9;
const LARGE_CUT: f64 = 0.5;

/// The limit of one gateway. It starts at its bound: of workers that have not answered yet nothing is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    target: Duration,
    most: f64,
    limit: f64,
    /// Somebody was refused since the last answer.
    is_felt: bool,
    /// Until then answers are of jobs that were let in before the last cut.
    cut_until: Option<Instant>,
}

impl Limit {
    /// At most `most` jobs, and fewer where they wait for longer than `target`.
    pub(super) fn new(target: Duration, most: usize) -> Self {
        Self { target, most: most as f64, limit: most as f64, is_felt: false, cut_until: None }
    }

    /// The limit, in jobs.
    pub(super) fn jobs(&self) -> usize {
        self.limit as usize
    }

    /// Somebody was refused because of it.
    pub(super) fn refused(&mut self) {
        self.is_felt = true;
    }

    /// A job was answered that had waited for `wait` besides the time that a worker took.
    pub(super) fn answered(&mut self, now: Instant, wait: Duration) {
        if wait > self.target {
            self.cut(now, wait);
        } else if std::mem::take(&mut self.is_felt) {
            let step = if wait < self.target / 2 { 1.0 } else { 1.0 / self.limit };
            self.limit = (self.limit + step).min(self.most);
        }
    }

    fn cut(&mut self, now: Instant, wait: Duration) {
        if self.cut_until.is_some_and(|until| now < until) {
            return;
        }
        let part = self.target.div_duration_f64(wait).clamp(LARGE_CUT, SMALL_CUT);
        self.limit = (self.limit * part).max(FEWEST.min(self.most));
        self.cut_until = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(500);
    const SHORT: Duration = Duration::from_millis(100);
    const NEAR: Duration = Duration::from_millis(400);
    const LONG: Duration = Duration::from_millis(510);

    /// A limit that was cut to one half of `most`.
    fn halved(now: Instant, most: usize) -> Limit {
        let mut limit = Limit::new(TARGET, most);
        limit.answered(now, TARGET * 2);
        limit
    }

    #[test]
    fn a_long_wait_cuts_once_until_it_can_have_had_an_effect() {
        let start = Instant::now();
        let mut limit = Limit::new(TARGET, 100);
        assert_eq!(limit.jobs(), 100);
        limit.answered(start, LONG);
        assert_eq!(limit.jobs(), 90);
        limit.answered(start + LONG / 2, LONG);
        assert_eq!(limit.jobs(), 90);
        limit.answered(start + LONG, LONG);
        assert_eq!(limit.jobs(), 81);
    }

    #[test]
    fn a_wait_far_above_the_target_cuts_in_proportion_but_never_more_than_half() {
        let start = Instant::now();
        let after = |wait| {
            let mut limit = Limit::new(TARGET, 100);
            limit.answered(start, wait);
            limit.jobs()
        };
        assert_eq!([after(TARGET), after(TARGET * 10 / 7), after(TARGET * 60)], [100, 70, 50]);
    }

    #[test]
    fn it_grows_slowly_near_the_target_and_fast_below_but_only_where_it_is_felt() {
        let start = Instant::now();
        let grown = |wait: Duration, is_felt: bool| {
            let mut limit = halved(start, 100);
            for _ in 0..20 {
                if is_felt {
                    limit.refused();
                }
                limit.answered(start, wait);
            }
            limit.jobs() - 50
        };
        assert_eq!([grown(NEAR, true), grown(SHORT, true)], [0, 20]);
        assert_eq!([grown(NEAR, false), grown(SHORT, false)], [0, 0]);
        let mut limit = halved(start, 100);
        for _ in 0..51 {
            limit.refused();
            limit.answered(start, NEAR);
        }
        assert_eq!(limit.jobs(), 51);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut now = Instant::now();
        for (most, fewest) in [(100, 4), (2, 2)] {
            let mut limit = Limit::new(TARGET, most);
            for _ in 0..100 {
                limit.answered(now, LONG);
                now += LONG;
            }
            assert_eq!(limit.jobs(), fewest);
            for _ in 0..1000 {
                limit.refused();
                limit.answered(now, SHORT);
            }
            assert_eq!(limit.jobs(), most);
        }
    }
}
