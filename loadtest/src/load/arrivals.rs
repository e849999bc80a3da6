//! Arrival times of requests: a schedule that is fixed before the first request is sent.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;

/// A part of a schedule.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Phase {
    /// Requests at equal distances.
    Constant {
        /// Requests a second.
        rate: f64,
        /// Length in seconds.
        seconds: f64,
    },
    /// Requests that come independently of each other, as those of many callers do (a Poisson process).
    Poisson {
        /// Mean requests a second.
        rate: f64,
        /// Length in seconds.
        seconds: f64,
    },
    /// A rate that changes linearly.
    Ramp {
        /// Requests a second at the beginning.
        from: f64,
        /// Requests a second at the end.
        to: f64,
        /// Length in seconds.
        seconds: f64,
    },
    /// Requests at the same time, at the beginning of the phase.
    Burst {
        /// Number of requests.
        count: u32,
        /// Length in seconds.
        seconds: f64,
    },
}

impl Phase {
    /// Length of the phase.
    ///
    /// # Panics
    /// The length is negative or not finite; [`super::Scenario::parse`] refuses such a phase.
    #[must_use]
    pub fn length(&self) -> Duration {
        let (Self::Constant { seconds, .. }
        | Self::Poisson { seconds, .. }
        | Self::Ramp { seconds, .. }
        | Self::Burst { seconds, .. }) = self;
        Duration::from_secs_f64(*seconds)
    }

    /// The same phase with `factor` times the requests.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        match self {
            Self::Constant { rate, seconds } => Self::Constant { rate: rate * factor, seconds },
            Self::Poisson { rate, seconds } => Self::Poisson { rate: rate * factor, seconds },
            Self::Ramp { from, to, seconds } => Self::Ramp { from: from * factor, to: to * factor, seconds },
            Self::Burst { count, seconds } => {
                Self::Burst { count: (f64::from(count) * factor).round() as u32, seconds }
            }
        }
    }

    /// Whether all rates and lengths are finite and within their bounds.
    pub(super) fn is_valid(&self) -> bool {
        let is_length = |seconds: f64| seconds.is_finite() && (0.0..=1e6).contains(&seconds);
        let is_rate = |rate: f64| rate.is_finite() && (0.0..=1e6).contains(&rate);
        match *self {
            Self::Constant { rate, seconds } | Self::Poisson { rate, seconds } => {
                is_rate(rate) && is_length(seconds)
            }
            Self::Ramp { from, to, seconds } => is_rate(from) && is_rate(to) && is_length(seconds),
            Self::Burst { seconds, .. } => is_length(seconds),
        }
    }

    /// The times of the phase's requests in seconds from its beginning, in order.
    fn times_of(&self, random: &mut StdRng) -> Vec<f64> {
        match *self {
            Self::Constant { rate, seconds } => {
                (0..(rate * seconds).round() as u64).map(|number| number as f64 / rate).collect()
            }
            Self::Poisson { rate, seconds } => {
                let mut times = Vec::new();
                let mut time = 0.0;
                if rate <= 0.0 {
                    return times;
                }
                loop {
                    // Exponentially distributed inter-arrival times, by inverse transform sampling.
                    time -= (1.0 - random.random::<f64>()).ln() / rate;
                    if time >= seconds {
                        return times;
                    }
                    times.push(time);
                }
            }
            Self::Ramp { from, to, seconds } => {
                // Request n comes when the integral of the rate, from * t + (to - from) * t^2 / (2 * seconds), is n.
                let slope = (to - from) / seconds.max(f64::MIN_POSITIVE);
                let count = (f64::midpoint(from, to) * seconds).round() as u64;
                let time = |number: u64| {
                    let number = number as f64;
                    let root = (from * from + 2.0 * slope * number).max(0.0).sqrt();
                    // This form of the solution is exact for a slope of 0, too.
                    if number == 0.0 { 0.0 } else { 2.0 * number / (from + root) }
                };
                (0..count).map(time).collect()
            }
            Self::Burst { count, .. } => vec![0.0; count as usize],
        }
    }
}

/// The times of all requests from the beginning of the load, in order. The same seed gives the same times.
#[must_use]
pub fn arrivals(phases: &[Phase], seed: u64) -> Vec<Duration> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut begin = Duration::ZERO;
    let mut times = Vec::new();
    for phase in phases {
        times.extend(
            phase.times_of(&mut random).into_iter().map(|time| begin + Duration::from_secs_f64(time)),
        );
        begin += phase.length();
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(phases: &[Phase], seed: u64) -> Vec<f64> {
        arrivals(phases, seed).iter().map(Duration::as_secs_f64).collect()
    }

    #[test]
    fn phases_follow_each_other() {
        let phases = [
            Phase::Constant { rate: 2.0, seconds: 1.0 },
            Phase::Burst { count: 3, seconds: 0.5 },
            Phase::Constant { rate: 1.0, seconds: 1.0 },
        ];
        assert_eq!(seconds(&phases, 1), [0.0, 0.5, 1.0, 1.0, 1.0, 1.5]);
    }

    #[test]
    fn a_poisson_process_has_its_rate_and_variance_and_repeats_with_its_seed() {
        let phases = [Phase::Poisson { rate: 50.0, seconds: 200.0 }];
        let times = seconds(&phases, 7);
        assert_eq!(times, seconds(&phases, 7));
        assert_ne!(times, seconds(&phases, 8));
        assert!(times.is_sorted());
        let mut counts = vec![0.0; 200];
        times.iter().for_each(|time| counts[*time as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / 200.0;
        let variance = counts.iter().map(|count: &f64| (count - mean).powi(2)).sum::<f64>() / 199.0;
        assert!((mean - 50.0).abs() < 2.5, "{mean}");
        // Mean and variance of a Poisson distribution are equal.
        assert!((0.7..1.4).contains(&(variance / mean)), "{variance}");
    }

    #[test]
    fn a_ramp_has_its_rate_at_both_ends() {
        for (from, to) in [(10.0, 90.0), (90.0, 10.0), (50.0, 50.0), (0.0, 100.0)] {
            let times = seconds(&[Phase::Ramp { from, to, seconds: 10.0 }], 1);
            assert_eq!(times.len(), 500);
            assert!(times.is_sorted() && times.iter().all(|time| (0.0..=10.0).contains(time)));
            let within =
                |low: f64, high: f64| times.iter().filter(|time| (low..high).contains(*time)).count();
            let expected = |low: f64, high: f64| {
                let rate = |time: f64| from + (to - from) * time / 10.0;
                f64::midpoint(rate(low), rate(high)) * (high - low)
            };
            for (low, high) in [(0.0, 2.0), (4.0, 6.0), (8.0, 10.0)] {
                assert!((within(low, high) as f64 - expected(low, high)).abs() <= 2.0, "{from} {to} {low}");
            }
        }
    }
}
