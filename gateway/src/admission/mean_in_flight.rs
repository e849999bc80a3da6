//! The mean number of jobs in flight over the last second.

use std::time::{Duration, Instant};

/// A moment of this age weighs 1/e (37 %).
const TIME_CONSTANT: Duration = Duration::from_secs(1);

/// The mean over time of a number that changes in steps, with exponential decay.
///
/// At its peak a burst fills a gateway just as an overload does. The mean distinguishes the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeanInFlight {
    mean: f64,
    updated_at: Instant,
}

impl MeanInFlight {
    pub(super) fn new(now: Instant) -> Self {
        Self { mean: 0.0, updated_at: now }
    }

    /// Updates the mean with the `jobs` that were in flight since the last call.
    pub(super) fn advance(&mut self, now: Instant, jobs: usize) {
        let elapsed = now.saturating_duration_since(self.updated_at);
        let weight = -(-elapsed.div_duration_f64(TIME_CONSTANT)).exp_m1();
        self.mean += (jobs as f64 - self.mean) * weight;
        self.updated_at = now;
    }

    /// The mean, in jobs.
    pub(super) fn jobs(&self) -> f64 {
        self.mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_peak_hardly_counts_and_a_lasting_one_does() {
        let mut now = Instant::now();
        let mut mean = MeanInFlight::new(now);
        mean.advance(now, 1000);
        assert_eq!(mean.jobs(), 0.0);
        now += Duration::from_millis(10);
        mean.advance(now, 100);
        assert!(mean.jobs() < 1.0);
        now += Duration::from_secs(4);
        mean.advance(now, 100);
        assert!(mean.jobs() > 98.0);
        now += Duration::from_secs(4);
        mean.advance(now, 0);
        assert!(mean.jobs() < 2.0);
    }
}
