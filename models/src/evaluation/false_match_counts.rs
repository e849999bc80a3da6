//! False matches at thresholds: the impostor pairs that reach them, counted by person.

use super::bootstrap::{BootstrapSamples, Interval};

/// For each person and each threshold, the number of impostor pairs with a picture of that person that reach it.
///
/// The confidence interval of a false match rate needs these counts. The rate varies with the people that are drawn,
/// since a person who resembles many others is in many of the pairs that match.
#[derive(Clone, Debug, PartialEq)]
pub struct FalseMatchCounts {
    thresholds: Vec<f64>,
    /// Number of pairs that reach each threshold, one row per person.
    reached: Vec<Vec<u64>>,
    /// The number of pairs of each person.
    compared: Vec<u64>,
}

impl FalseMatchCounts {
    /// Empty counts. `thresholds` must rise.
    pub(super) fn new(people: usize, thresholds: &[f64]) -> Self {
        Self {
            thresholds: thresholds.to_vec(),
            reached: vec![vec![0; thresholds.len()]; people],
            compared: vec![0; people],
        }
    }

    /// Counts a pair of pictures of two people.
    pub(super) fn add(&mut self, people: [u32; 2], similarity: f32) {
        for person in people {
            self.compared[person as usize] += 1;
        }
        let reached = self.reached_by(similarity);
        for person in people {
            self.reached[person as usize][..reached].iter_mut().for_each(|count| *count += 1);
        }
    }

    /// Removes a pair that was counted before.
    pub(crate) fn remove(&mut self, people: [u32; 2], similarity: f32) {
        let reached = self.reached_by(similarity);
        for person in people {
            self.compared[person as usize] -= 1;
            self.reached[person as usize][..reached].iter_mut().for_each(|count| *count -= 1);
        }
    }

    /// Adds other counts of the same people and thresholds.
    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.compared.iter_mut().zip(&other.compared) {
            *count += more;
        }
        for (row, more) in self.reached.iter_mut().flatten().zip(other.reached.iter().flatten()) {
            *row += more;
        }
    }

    fn reached_by(&self, similarity: f32) -> usize {
        self.thresholds.partition_point(|threshold| *threshold <= f64::from(similarity))
    }

    /// The thresholds, rising.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// Number of pairs that were compared.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.compared.iter().sum::<u64>() / 2
    }

    /// Number of pairs that reach each threshold.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        (0..self.thresholds.len())
            .map(|index| self.reached.iter().map(|row| row[index]).sum::<u64>() / 2)
            .collect()
    }

    /// log10 of the rate at each threshold, -infinity if no pair reaches it.
    #[must_use]
    pub fn log10_rates(&self) -> Vec<f64> {
        self.of_sample(&vec![1; self.compared.len()])
    }

    /// log10 of the rate at each threshold in a bootstrap sample of people.
    ///
    /// A rate over pairs is a U-statistic of two people. Its variance is, to first order, four times the variance of a
    /// person's mean contribution (Hoeffding's projection), so the deviation is doubled. If the matching pairs are so
    /// rare that hardly any person is in two of them, the interval is too wide by up to the square root of two.
    #[must_use]
    pub fn log10_rates_of(&self, sample: &[u32]) -> Vec<f64> {
        let all = self.log10_rates();
        let sampled = self.of_sample(sample);
        all.iter().zip(sampled).map(|(all, sampled)| all + 2.0 * (sampled - all)).collect()
    }

    /// The 95 % confidence interval of log10 of the rate at each threshold, over the samples; `None` where no pair
    /// reaches it.
    #[must_use]
    pub fn intervals(&self, samples: &BootstrapSamples) -> Vec<Option<Interval>> {
        let all = self.log10_rates();
        let rates: Vec<_> = samples.iter().map(|sample| self.of_sample(sample)).collect();
        let spread = |index: usize| {
            let all: f64 = all[index];
            all.is_finite().then_some(())?;
            Interval::of(rates.iter().map(|rates| all + 2.0 * (rates[index] - all)).collect())
        };
        (0..all.len()).map(spread).collect()
    }

    /// log10 of the rate at each threshold among the people of a sample.
    fn of_sample(&self, sample: &[u32]) -> Vec<f64> {
        let mut sums = vec![0u64; self.thresholds.len()];
        let mut pairs = 0;
        for ((row, compared), times) in self.reached.iter().zip(&self.compared).zip(sample) {
            if *times == 0 {
                continue;
            }
            pairs += compared * u64::from(*times);
            for (sum, count) in sums.iter_mut().zip(row) {
                *sum += count * u64::from(*times);
            }
        }
        sums.into_iter().map(|sum| (sum as f64 / pairs as f64).log10()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split_mix::SplitMix64;

    #[test]
    fn pairs_count_for_both_of_their_people() {
        let mut false_matches = FalseMatchCounts::new(3, &[0.1, 0.5]);
        false_matches.add([0, 1], 0.5);
        false_matches.add([0, 2], 0.2);
        false_matches.add([1, 2], -0.2);
        assert_eq!((false_matches.pairs(), false_matches.counts()), (3, vec![2, 1]));
        assert!((false_matches.log10_rates()[1] - (1.0f64 / 3.0).log10()).abs() < 1e-12);
        let mut both = false_matches.clone();
        both.merge(&false_matches);
        both.remove([0, 1], 0.5);
        both.remove([0, 2], 0.2);
        both.remove([1, 2], -0.2);
        assert_eq!(both, false_matches);
        false_matches.remove([0, 1], 0.5);
        assert_eq!(false_matches.counts(), [1, 0]);
        assert_eq!(false_matches.intervals(&BootstrapSamples::new(3))[1], None);
    }

    /// The number of runs in which the interval contains the true rate. In the model, each person has a personal degree
    /// of resemblance to others.
    fn coverage(people: usize, spread: f64, threshold: f64, true_rate: f64) -> usize {
        let worlds = 100;
        (0..worlds)
            .filter(|world| {
                let mut random = SplitMix64::new(*world);
                let inclination: Vec<f64> = (0..people).map(|_| random.normal() * spread).collect();
                let mut false_matches = FalseMatchCounts::new(people, &[threshold]);
                for one in 0..people {
                    for other in 0..one {
                        let similarity = inclination[one] + inclination[other] + random.normal();
                        false_matches.add([one as u32, other as u32], similarity as f32);
                    }
                }
                false_matches.intervals(&BootstrapSamples::new(people))[0]
                    .is_some_and(|interval| interval.contains(true_rate.log10()))
            })
            .count()
    }

    #[test]
    fn intervals_hold_the_true_rate_as_often_as_they_say() {
        // The sum is normal with variance 1 + 2 spread^2: 1.5 and 3 deviations.
        let often = coverage(120, 0.5, 1.5 * 1.5f64.sqrt(), 0.066_807);
        assert!((88..=99).contains(&often), "{often} %");
        let rare = coverage(120, 0.2, 3.0 * 1.08f64.sqrt(), 0.001_349_9);
        assert!((93..=100).contains(&rare), "{rare} %");
    }

    #[test]
    fn pairs_alone_would_promise_too_much() {
        // The same model as above: an interval of a binomial proportion is four times too narrow.
        let mut random = SplitMix64::new(7);
        let people = 120;
        let inclination: Vec<f64> = (0..people).map(|_| random.normal() * 0.5).collect();
        let mut false_matches = FalseMatchCounts::new(people, &[1.837]);
        for one in 0..people {
            for other in 0..one {
                let similarity = inclination[one] + inclination[other] + random.normal();
                false_matches.add([one as u32, other as u32], similarity as f32);
            }
        }
        let interval = false_matches.intervals(&BootstrapSamples::new(people))[0].unwrap();
        let rate = 10f64.powf(false_matches.log10_rates()[0]);
        let binomial = 2.0 * 1.96 * ((1.0 - rate) / rate / false_matches.pairs() as f64).sqrt() / 10f64.ln();
        assert!(interval.high - interval.low > 2.0 * binomial, "{interval:?}, {binomial}");
    }
}
