//! When a refused caller shall come again.
//!
//! Who was refused waits for one job to end for itself and one for everybody who was told the same before, at the
//! pace at which jobs have ended lately: `(1 + promised) / pace`.

use std::time::{Duration, Instant};

use rand::RngExt as _;

/// What is longer ago counts for little: each second counts `exp(-1/10)` of the one after it.
const MEMORY: Duration = Duration::from_secs(10);
/// Bounds of what callers are told.
const SHORTEST: f64 = 1.0;
const LONGEST: f64 = 30.0;

/// A count in which what is long ago fades.
#[derive(Clone, Copy, Debug)]
struct Fading {
    count: f64,
    at: Instant,
}

impl Fading {
    fn new(now: Instant) -> Self {
        Self { count: 0.0, at: now }
    }

    fn count(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        self.count * (-age.div_duration_f64(MEMORY)).exp()
    }

    fn add(&mut self, now: Instant) {
        self.count = self.count(now) + 1.0;
        self.at = now;
    }
}

/// How fast jobs have ended, and how many callers were told to come again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    completed: Fading,
    promised: Fading,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { completed: Fading::new(now), promised: Fading::new(now) }
    }

    /// A job has ended.
    pub(super) fn completed(&mut self, now: Instant) {
        self.completed.add(now);
    }

    /// A caller is refused: when it shall come again. `slowest` is a pace, in jobs a second, that holds whatever
    /// was seen so far.
    pub(super) fn refused(&mut self, now: Instant, slowest: f64) -> Duration {
        let pace = (self.completed.count(now) / MEMORY.as_secs_f64()).max(slowest);
        let wait = (1.0 + self.promised.count(now)) / pace;
        self.promised.add(now);
        // A pace of zero gives no number or an infinite one.
        let wait = if wait.is_finite() { wait } else { LONGEST };
        Duration::from_secs_f64(wait.clamp(SHORTEST, LONGEST))
    }
}

/// Up to half as much again, within the same bounds, so that those refused together do not come again together.
pub(super) fn spread(wait: Duration) -> Duration {
    let jitter = wait.mul_f64(rand::rng().random_range(0.0..0.5));
    (wait + jitter).clamp(Duration::from_secs_f64(SHORTEST), Duration::from_secs_f64(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_faster_service_asks_for_less_patience() {
        let start = Instant::now();
        let wait = |jobs_per_second: u32| {
            let mut pace = Pace::new(start);
            for second in 0..60 {
                for _ in 0..jobs_per_second {
                    pace.completed(at(start, second));
                }
            }
            for _ in 0..20 {
                pace.refused(at(start, 60), 0.0);
            }
            pace.refused(at(start, 60), 0.0)
        };
        let (slow, fast) = (wait(1), wait(10));
        assert!(slow > Duration::from_secs(15), "{slow:?}");
        assert!(fast < Duration::from_secs(4) && fast > Duration::from_secs(1), "{fast:?}");
    }

    #[test]
    fn promises_are_kept_in_mind_and_fade() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let waits: Vec<Duration> = (0..5).map(|_| pace.refused(start, 0.5)).collect();
        assert!(waits.is_sorted() && waits[0] == Duration::from_secs(2), "{waits:?}");
        assert_eq!(waits[4], Duration::from_secs(10));
        assert!(pace.refused(at(start, 120), 0.5) < Duration::from_secs(3));
    }

    #[test]
    fn the_answer_is_bounded_whatever_was_seen() {
        let start = Instant::now();
        assert_eq!(Pace::new(start).refused(start, 0.0), Duration::from_secs(30));
        assert_eq!(Pace::new(start).refused(start, 1e9), Duration::from_secs(1));
        for _ in 0..100 {
            let spread = spread(Duration::from_secs(25));
            assert!((25..=30).contains(&spread.as_secs()), "{spread:?}");
        }
    }
}
