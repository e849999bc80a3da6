//! The rate at which jobs were answered lately, in answers per second.

use std::time::{Duration, Instant};

use super::decaying_count::DecayingCount;

/// The rate at which workers complete this gateway's jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompletionRate {
    start: Instant,
    answers: DecayingCount,
}

impl CompletionRate {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, answers: DecayingCount::new(now) }
    }

    /// Counts a job that was answered.
    pub(super) fn record(&mut self, now: Instant) {
        self.answers.add(now, 1);
    }

    /// Answers per second, weighted towards the last [`DecayingCount::TIME_CONSTANT`].
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        // One answer per second since the start would have decayed to this count: the integral of exp(-t / T) over the
        // time since the start. At least 1 s, so the first answer alone does not appear as an enormous rate.
        let observed: Duration = now.saturating_duration_since(self.start);
        let time_constant = DecayingCount::TIME_CONSTANT.as_secs_f64();
        let weight = time_constant * (1.0 - DecayingCount::decay(observed));
        self.answers.count(now) / weight.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_known_after_a_second_and_forgotten_after_a_minute() {
        let start = Instant::now();
        let mut rate = CompletionRate::new(start);
        assert_eq!(rate.per_second(start), 0.0);
        let mut now = start;
        for second in 1..60 {
            for _ in 0..20 {
                now += Duration::from_millis(50);
                rate.record(now);
            }
            let seen = rate.per_second(now);
            assert!((19.0..22.0).contains(&seen), "{seen} after {second} s");
        }
        assert!(rate.per_second(now + Duration::from_mins(1)) < 0.1);
    }
}
