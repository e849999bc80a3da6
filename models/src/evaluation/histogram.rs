//! A histogram of millions of similarities, in constant memory.

/// Number of bins per unit of similarity. A threshold is accurate to one bin.
const BINS_PER_UNIT: f32 = 100_000.0;
const BINS: usize = 200_001;

/// Counts of cosine similarities, in bins of 1e-5.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Histogram {
    bins: Vec<u64>,
    count: u64,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self { bins: vec![0; BINS], count: 0 }
    }

    /// Counts a similarity; values outside -1 to 1 count as the nearest end.
    pub fn add(&mut self, similarity: f32) {
        self.bins[bin(similarity)] += 1;
        self.count += 1;
    }

    /// Removes a similarity that was counted before.
    pub fn remove(&mut self, similarity: f32) {
        self.bins[bin(similarity)] -= 1;
        self.count -= 1;
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        self.count += other.count;
    }

    /// The number of similarities.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The lowest threshold that at most a fraction `rate` of the similarities reaches. It is the lower end of a bin.
    #[must_use]
    pub fn threshold(&self, rate: f64) -> f64 {
        let allowed = rate * self.count as f64;
        let mut above = 0;
        for (bin, count) in self.bins.iter().enumerate().rev() {
            above += count;
            if above as f64 > allowed {
                return (bin + 1) as f64 / f64::from(BINS_PER_UNIT) - 1.0;
            }
        }
        -1.0
    }

    /// Number of similarities that reach `threshold`, rounded to a bin.
    #[must_use]
    pub fn count_at_or_above(&self, threshold: f64) -> u64 {
        let first = ((threshold + 1.0) * f64::from(BINS_PER_UNIT)).round() as usize;
        self.bins.iter().skip(first).sum()
    }

    /// The fraction of the similarities that reach `threshold`, rounded to a bin.
    #[must_use]
    pub fn rate(&self, threshold: f64) -> f64 {
        if self.count == 0 { 0.0 } else { self.count_at_or_above(threshold) as f64 / self.count as f64 }
    }
}

fn bin(similarity: f32) -> usize {
    (((similarity + 1.0) * BINS_PER_UNIT) as usize).min(BINS - 1)
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::prop;
    use proptest::{prop_assert, proptest};

    use super::*;

    proptest! {
        #[test]
        fn thresholds_are_those_of_the_sorted_list(
            values in prop::collection::vec(-1f32..=1.0, 1..200),
            rate in 0f64..1.0,
        ) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.add(*value));
            let threshold = histogram.threshold(rate);
            let at_or_above = |t: f64| values.iter().filter(|value| f64::from(**value) >= t).count() as f64;
            let allowed = rate * values.len() as f64;
            // Half a thousandth of a bin for the rounding of 32-bit similarities.
            prop_assert!(at_or_above(threshold + 1e-6) <= allowed);
            prop_assert!(threshold <= -1.0 || at_or_above(threshold - 1.2e-5) > allowed);
            prop_assert!(histogram.rate(threshold) <= rate);
        }
    }

    #[test]
    fn merging_adds_up() {
        let (mut one, mut two) = (Histogram::new(), Histogram::new());
        one.add(0.5);
        two.add(-2.0);
        two.add(2.0);
        one.merge(&two);
        assert_eq!((one.count(), one.count_at_or_above(0.4)), (3, 2));
        assert!((one.rate(0.4) - 2.0 / 3.0).abs() < 1e-12);
        one.remove(0.5);
        assert_eq!((one.count(), one.count_at_or_above(0.4)), (2, 1));
        assert_eq!(Histogram::new().rate(0.0), 0.0);
    }
}
