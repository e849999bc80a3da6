//! Error rates over the similarities of genuine and impostor pairs.

use std::collections::BTreeMap;

use super::histogram::Histogram;

/// The similarity of two pictures of one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Genuine {
    /// The person.
    pub identity: u32,
    /// Cosine similarity.
    pub similarity: f32,
}

/// All pairs of a labelled set.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    genuine: Vec<Genuine>,
    impostors: Histogram,
}

impl Comparison {
    /// From similarities; genuine pairs of one person stay in the order given.
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

    /// False non-match rate over all genuine pairs at the lowest threshold with a false match rate of at most `fmr`.
    #[must_use]
    pub fn fnmr(&self, fmr: f64) -> f64 {
        let threshold = self.impostors.threshold(fmr);
        rate_below(self.genuine.iter().map(|pair| pair.similarity), threshold)
    }

    /// The same over at most `cap` pairs a person, so that people with many pictures do not decide alone. A person's
    /// pairs are taken at equal distances from the list of all.
    #[must_use]
    pub fn fnmr_capped(&self, fmr: f64, cap: usize) -> f64 {
        let mut people: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for pair in &self.genuine {
            people.entry(pair.identity).or_default().push(pair.similarity);
        }
        let chosen = people.values().flat_map(|pairs| {
            let taken = pairs.len().min(cap);
            (0..taken).map(move |index| pairs[index * pairs.len() / taken])
        });
        rate_below(chosen, self.impostors.threshold(fmr))
    }
}

fn rate_below(similarities: impl Iterator<Item = f32>, threshold: f64) -> f64 {
    let (mut below, mut all) = (0u64, 0u64);
    for similarity in similarities {
        all += 1;
        below += u64::from(f64::from(similarity) < threshold);
    }
    if all == 0 { 0.0 } else { below as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_rates_of_a_worked_example() {
        let mut impostors = Histogram::new();
        for step in 0..100 {
            impostors.add(step as f32 / 1000.0);
        }
        let pairs = |identity, count: usize, similarity| vec![Genuine { identity, similarity }; count];
        // One in a hundred impostors reaches 0.099: at FMR 1 % the threshold lies in 0.098..0.099.
        let genuine = [pairs(1, 90, 0.05), pairs(2, 10, 0.5)].concat();
        let comparison = Comparison::new(genuine, impostors);
        assert_eq!(comparison.fnmr(0.01), 0.9);
        assert_eq!(comparison.fnmr_capped(0.01, 10), 0.5);
        assert_eq!(comparison.fnmr(0.6), 0.0);
    }

    #[test]
    fn capped_pairs_are_spread_over_all() {
        let mut impostors = Histogram::new();
        impostors.add(0.5);
        let genuine = (0..100).map(|step| Genuine { identity: 0, similarity: step as f32 / 100.0 }).collect();
        // 0.0, 0.1, … 0.9: six of them lie below 0.50001.
        assert_eq!(Comparison::new(genuine, impostors).fnmr_capped(0.0, 10), 0.6);
    }
}
