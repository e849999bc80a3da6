//! Error rates over the similarities of genuine and impostor pairs.

use super::bootstrap::{BootstrapSamples, Interval};
use super::false_match_counts::FalseMatchCounts;
use super::histogram::Histogram;

/// The similarity of two pictures of one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Genuine {
    /// The person.
    pub identity: u32,
    /// The pictures, by their place in the set.
    pub pictures: [u32; 2],
    /// Cosine similarity.
    pub similarity: f32,
}

/// The similarities of all pairs of a labelled set: genuine pairs one by one, impostor pairs as a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    genuine: Vec<Genuine>,
    impostors: Histogram,
}

/// Similarities of genuine pairs, one rising list a person.
#[derive(Clone, Debug, PartialEq)]
pub struct GenuinePairs(Vec<Vec<f32>>);

impl Comparison {
    /// Takes the genuine pairs, which must be in the order of their people, and the impostor pairs' similarities.
    #[must_use]
    pub fn new(genuine: Vec<Genuine>, impostors: Histogram) -> Self {
        Self { genuine, impostors }
    }

    /// The genuine pairs.
    #[must_use]
    pub fn genuine(&self) -> &[Genuine] {
        &self.genuine
    }

    /// The impostor pairs.
    #[must_use]
    pub fn impostors(&self) -> &Histogram {
        &self.impostors
    }

    /// All genuine pairs of `people` people.
    #[must_use]
    pub fn genuine_pairs(&self, people: usize) -> GenuinePairs {
        self.genuine_pairs_capped(people, usize::MAX)
    }

    /// At most `cap` genuine pairs per person, because people with many pictures would otherwise dominate. The pairs
    /// are taken at equal distances from the list of all pairs of the person.
    #[must_use]
    pub fn genuine_pairs_capped(&self, people: usize, cap: usize) -> GenuinePairs {
        let mut lists = vec![Vec::new(); people];
        for pairs in self.genuine.chunk_by(|one, other| one.identity == other.identity) {
            let taken = pairs.len().min(cap);
            let list = &mut lists[pairs[0].identity as usize];
            list.extend((0..taken).map(|index| pairs[index * pairs.len() / taken].similarity));
            list.sort_unstable_by(f32::total_cmp);
        }
        GenuinePairs(lists)
    }
}

impl GenuinePairs {
    /// The number of pairs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The fraction of the pairs below a threshold: the false non-match rate. 0 without pairs.
    #[must_use]
    pub fn rate_below(&self, threshold: f64) -> f64 {
        self.rate_below_of(&vec![1; self.0.len()], threshold)
    }

    /// The 95 % confidence interval of the false non-match rate at a false match rate, over the people that are drawn.
    /// The threshold is computed anew for each sample. `None` without pairs.
    #[must_use]
    pub fn interval(
        &self,
        fmr: f64,
        impostors: &FalseMatchCounts,
        samples: &BootstrapSamples,
    ) -> Option<Interval> {
        if self.count() == 0 {
            return None;
        }
        samples.interval(|sample| {
            let rates = impostors.log10_rates_of(sample);
            self.rate_below_of(sample, crossing(impostors.thresholds(), &rates, fmr.log10()))
        })
    }

    /// The 95 % confidence interval of the false non-match rate at a fixed threshold. `None` without failing pairs.
    #[must_use]
    pub fn interval_below(&self, threshold: f64, samples: &BootstrapSamples) -> Option<Interval> {
        (self.rate_below(threshold) > 0.0).then_some(())?;
        samples.interval(|sample| self.rate_below_of(sample, threshold))
    }

    fn rate_below_of(&self, sample: &[u32], threshold: f64) -> f64 {
        let (mut below, mut all) = (0, 0);
        for (pairs, times) in self.0.iter().zip(sample) {
            let some = pairs.partition_point(|similarity| f64::from(*similarity) < threshold);
            below += some * *times as usize;
            all += pairs.len() * *times as usize;
        }
        if all == 0 { 0.0 } else { below as f64 / all as f64 }
    }
}

/// The x at which a falling line through (x, y) crosses `level`, or the nearest end where it does not cross it.
fn crossing(x: &[f64], y: &[f64], level: f64) -> f64 {
    let Some(last) = x.len().checked_sub(1) else { return f64::NAN };
    let after = y.partition_point(|y| *y > level);
    if after == 0 || after > last {
        return x[after.min(last)];
    }
    let part = (y[after - 1] - level) / (y[after - 1] - y[after]);
    // The next rate may be zero, and its logarithm -infinity.
    x[after - 1] + (x[after] - x[after - 1]) * if part.is_finite() { part } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(identity: u32, count: usize, similarity: f32) -> Vec<Genuine> {
        vec![Genuine { identity, pictures: [0, 1], similarity }; count]
    }

    #[test]
    fn error_rates_of_a_worked_example() {
        let mut impostors = Histogram::new();
        for step in 0..100 {
            impostors.add(step as f32 / 1000.0);
        }
        // One in a hundred impostors reaches 0.099: at FMR 1 % the threshold lies in 0.098..0.099.
        let threshold = impostors.threshold(0.01);
        let genuine = [pairs(1, 90, 0.05), pairs(2, 10, 0.5)].concat();
        let comparison = Comparison::new(genuine, impostors);
        let (all, capped) = (comparison.genuine_pairs(3), comparison.genuine_pairs_capped(3, 10));
        assert_eq!((all.count(), capped.count()), (100, 20));
        assert_eq!((all.rate_below(threshold), capped.rate_below(threshold)), (0.9, 0.5));
        assert_eq!(all.rate_below(comparison.impostors().threshold(0.6)), 0.0);
        assert_eq!(Comparison::new(Vec::new(), Histogram::new()).genuine_pairs(0).rate_below(0.0), 0.0);
    }

    #[test]
    fn capped_pairs_are_spread_over_all() {
        let genuine = (0..100).flat_map(|step| pairs(0, 1, step as f32 / 100.0)).collect();
        let capped = Comparison::new(genuine, Histogram::new()).genuine_pairs_capped(1, 10);
        // 0.0, 0.1, … 0.9: six of them lie below 0.50001.
        assert_eq!((capped.count(), capped.rate_below(0.50001)), (10, 0.6));
    }

    #[test]
    fn a_rate_that_hangs_on_one_person_has_a_wide_interval() {
        let mut impostors = FalseMatchCounts::new(50, &[0.0, 0.2, 0.4]);
        for one in 0..50 {
            for other in 0..one {
                impostors.add([one, other], (one + other) as f32 / 200.0);
            }
        }
        let samples = BootstrapSamples::new(50);
        // One person in fifty fails always, or each person once in fifty.
        let one = (0..50).flat_map(|person| pairs(person, 50, if person == 0 { 0.0 } else { 0.9 }));
        let each = (0..50).flat_map(|person| [pairs(person, 1, 0.0), pairs(person, 49, 0.9)].concat());
        let [one, each] = [one.collect(), each.collect()].map(|genuine| {
            let pairs = Comparison::new(genuine, Histogram::new()).genuine_pairs(50);
            assert_eq!(pairs.rate_below(0.5), 0.02);
            pairs.interval(0.1, &impostors, &samples).unwrap()
        });
        assert!(one.low == 0.0 && one.high >= 0.06, "{one:?}");
        assert_eq!(each, Interval { low: 0.02, high: 0.02 });
    }

    #[test]
    fn lines_cross_between_their_points() {
        let (x, y) = ([0.0, 0.1, 0.3], [0.0, -1.0, f64::NEG_INFINITY]);
        assert_eq!(crossing(&x, &y, 1.0), 0.0);
        assert_eq!(crossing(&x, &y, -0.5), 0.05);
        assert_eq!(crossing(&x, &y, -2.0), 0.1);
        assert_eq!(crossing(&x[..2], &y[..2], -2.0), 0.1);
    }
}
