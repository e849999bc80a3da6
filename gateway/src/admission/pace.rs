//! How fast jobs are answered.

use std::time::{Duration, Instant};

/// What is longer ago counts for little: each second counts `exp(-1/10)` of the one after it.
const MEMORY: Duration = Duration::from_secs(10);

/// A count in which what is long ago fades.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fading {
    count: f64,
    at: Instant,
}

impl Fading {
    pub(super) fn new(now: Instant) -> Self {
        Self { count: 0.0, at: now }
    }

    pub(super) fn count(&self, now: Instant) -> f64 {
        self.count * fade(now.saturating_duration_since(self.at))
    }

    pub(super) fn add(&mut self, now: Instant, count: usize) {
        self.count = self.count(now) + count as f64;
        self.at = now;
    }
}

fn fade(age: Duration) -> f64 {
    (-age.div_duration_f64(MEMORY)).exp()
}

/// Answers a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    start: Instant,
    answers: Fading,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, answers: Fading::new(now) }
    }

    /// A job was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answers.add(now, 1);
    }

    /// Answers a second, lately.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        // The integral of what fades since the start, which one answer a second would count up to.
        let seen = MEMORY.as_secs_f64() * (1.0 - fade(now.saturating_duration_since(self.start)));
        self.answers.count(now) / seen.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_pace_is_known_after_a_second_and_forgotten_after_a_minute() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.per_second(start), 0.0);
        let mut now = start;
        for second in 1..60 {
            for _ in 0..20 {
                now += Duration::from_millis(50);
                pace.answered(now);
            }
            let seen = pace.per_second(now);
            assert!((19.0..22.0).contains(&seen), "{seen} after {second} s");
        }
        assert!(pace.per_second(now + Duration::from_mins(1)) < 0.1);
    }
}
