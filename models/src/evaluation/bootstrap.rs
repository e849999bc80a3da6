//! Confidence intervals by bootstrap over people. Pairs share people, so drawing pairs would treat them as independent.

use crate::split_mix::SplitMix64;

/// With this number of samples, the ends of an interval differ by a few percent of its width between seeds.
const REPLICATES: u64 = 1000;

/// A 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Bootstrap samples of people: the number of times each person is drawn when all of them are drawn with replacement.
#[derive(Clone, Debug)]
pub struct BootstrapSamples(Vec<Vec<u32>>);

impl BootstrapSamples {
    /// A thousand samples of `people`, the same each time.
    #[must_use]
    pub fn new(people: usize) -> Self {
        let sample = |seed| {
            let mut random = SplitMix64::new(seed);
            let mut times = vec![0; people];
            (0..people).for_each(|_| times[random.below(people)] += 1);
            times
        };
        Self((0..REPLICATES).map(sample).collect())
    }

    /// The number of people.
    #[must_use]
    pub fn people(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// The samples, each with one entry per person.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The percentile interval of a statistic's values over the samples. `None` where no value is a number.
    pub fn interval(&self, statistic: impl FnMut(&[u32]) -> f64) -> Option<Interval> {
        Interval::of(self.iter().map(statistic).collect())
    }
}

impl Interval {
    /// The central 95 % of the values, ignoring NaN.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| !value.is_nan());
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let tail = (0.025 * last as f64).round() as usize;
        Some(Self { low: values[tail], high: values[last - tail] })
    }

    /// Whether a value lies in the interval or on its ends.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The interval of `f(value)`, where `f` rises monotonically.
    #[must_use]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.low), high: f(self.high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_draws_as_many_as_there_are() {
        let samples = BootstrapSamples::new(50);
        assert_eq!(samples.iter().count(), 1000);
        assert!(samples.iter().all(|times| times.iter().sum::<u32>() == 50));
        assert!(samples.iter().any(|times| times[0] == 0) && samples.iter().any(|times| times[49] > 2));
        assert_eq!(BootstrapSamples::new(0).interval(|_| f64::NAN), None);
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_of_the_textbook() {
        let values: Vec<f64> = (0..400).map(|value| f64::from(value % 20)).collect();
        let mean = |times: &[u32]| {
            values.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum::<f64>() / 400.0
        };
        let interval = BootstrapSamples::new(400).interval(mean).unwrap();
        // Mean 9.5, variance (20^2 - 1) / 12.
        let half = 1.96 * (399.0f64 / 12.0 / 400.0).sqrt();
        assert!(interval.contains(9.5) && !interval.contains(9.5 + 1.3 * half));
        assert!(((interval.high - interval.low) / 2.0 / half - 1.0).abs() < 0.12, "{interval:?}, {half}");
    }
}
