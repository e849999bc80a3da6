//! The tail beyond the data: a generalised Pareto distribution over a high threshold.

use crate::evaluation::Histogram;

/// The tail begins at the similarity that this fraction of impostor pairs reaches. The fraction is small enough for the
/// excesses to follow the limit law, and large enough to be measured well.
const RATE: f64 = 1e-3;

/// Minimum number of pairs of a fit. Where [`RATE`] leaves fewer, the tail begins at a higher rate, up to
/// [`HIGHEST_RATE`].
const PAIRS: f64 = 1000.0;

/// Highest rate at which a tail may begin.
const HIGHEST_RATE: f64 = 1e-2;

/// Fraction of the tail's pairs, the most similar ones, that is censored. Only their number counts and not their
/// similarities, because wrong labels would dominate there.
const CENSORED: f64 = 0.1;

/// Classes between the tail's beginning and the censored pairs.
const CLASSES: usize = 40;

/// Half of the 95 % quantile of chi-square with one degree of freedom.
const LIKELIHOOD_RATIO: f64 = 1.92;

/// The rates of the most similar impostor pairs: `rate * (1 + shape * x / scale)^(-1 / shape)` at `x` beyond `from`
/// (peaks over threshold: Pickands 1975; Coles, *An Introduction to Statistical Modeling of Extreme Values*, 4).
///
/// A similarity is at most 1, and can reach 1. So the shape is not positive, as for every bounded variable, and the
/// tail's end, `from - scale / shape`, is not below 1. The fit takes the largest shape that fulfils this and that the
/// data does not refute (a likelihood ratio test at 5 %): the heaviest tail makes the most conservative claims.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// The similarity at which the tail begins.
    pub from: f64,
    /// log10 of the rate there.
    pub log10_rate: f64,
    /// The excess over which the rate falls to 1/e, at the beginning of the tail.
    pub scale: f64,
    /// 0 for an exponential tail, negative for a tail with an end.
    pub shape: f64,
}

impl Tail {
    /// Fits a tail by maximum likelihood over classes of similarities. `None` where there are too few pairs.
    #[must_use]
    pub fn fit(impostors: &Histogram) -> Option<Self> {
        let rate = RATE.max(PAIRS / impostors.count() as f64);
        if rate > HIGHEST_RATE {
            return None;
        }
        let from = impostors.threshold(rate);
        let width = (impostors.threshold(rate * CENSORED) - from) / CLASSES as f64;
        if width <= 0.0 || from <= 0.0 {
            return None;
        }
        let edges: Vec<f64> = (0..=CLASSES).map(|class| width * class as f64).collect();
        let at_or_above: Vec<f64> =
            edges.iter().map(|edge| impostors.count_at_or_above(from + edge) as f64).collect();
        let likelihood = |scale, shape| log_likelihood(&edges, &at_or_above, scale, shape);

        // First the best scale of each shape, then the largest shape that is not refuted.
        let fits: Vec<(f64, f64, f64)> = (-50..=0)
            .map(|hundredths| {
                let shape = f64::from(hundredths) / 100.0;
                let least = (-shape * (1.0 - from)).max(width / 10.0);
                let scale = largest(least.ln(), 0.0, |log| likelihood(log.exp(), shape)).exp();
                (shape, scale, likelihood(scale, shape))
            })
            .collect();
        let best = fits.iter().map(|(_, _, likelihood)| *likelihood).fold(f64::MIN, f64::max);
        let (shape, scale, _) =
            *fits.iter().rfind(|(_, _, likelihood)| *likelihood >= best - LIKELIHOOD_RATIO)?;
        Some(Self { from, log10_rate: impostors.rate(from).log10(), scale, shape })
    }

    /// log10 of the rate at a similarity from [`Self::from`] on; -infinity beyond the end.
    #[must_use]
    pub fn log10_rate_at(&self, similarity: f64) -> f64 {
        self.log10_rate + log_survival(similarity - self.from, self.scale, self.shape) / 10f64.ln()
    }

    /// The similarity at a given rate, which must be at or below [`Self::log10_rate`].
    #[must_use]
    pub fn similarity(&self, log10_rate: f64) -> f64 {
        let log = (log10_rate - self.log10_rate) * 10f64.ln();
        let excess = if self.shape == 0.0 {
            -self.scale * log
        } else {
            self.scale / self.shape * (-self.shape * log).exp_m1()
        };
        self.from + excess
    }
}

/// Natural logarithm of the fraction of the excesses beyond `x`.
fn log_survival(x: f64, scale: f64, shape: f64) -> f64 {
    if shape == 0.0 {
        return -x / scale;
    }
    let inner = shape * x / scale;
    if inner <= -1.0 { f64::NEG_INFINITY } else { -inner.ln_1p() / shape }
}

/// The log-likelihood of excesses in classes. `at_or_above` has the number of excesses that reach each edge. Those
/// beyond the last edge form one class.
fn log_likelihood(edges: &[f64], at_or_above: &[f64], scale: f64, shape: f64) -> f64 {
    let survival: Vec<f64> = edges.iter().map(|edge| log_survival(*edge, scale, shape).exp()).collect();
    let class = |count: f64, probability: f64| if count > 0.0 { count * probability.ln() } else { 0.0 };
    let classes = at_or_above.windows(2).zip(survival.windows(2));
    let placed: f64 = classes.map(|(n, p)| class(n[0] - n[1], p[0] - p[1])).sum();
    placed + class(at_or_above[at_or_above.len() - 1], survival[survival.len() - 1])
}

/// The position of a function's only maximum, by golden-section search.
fn largest(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    for _ in 0..60 {
        let (left, right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        // Both values may be -infinity where the scale is far too small.
        if f(left) > f(right) { high = right } else { low = left }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split_mix::SplitMix64;

    /// Half a million similarities, normal with a deviation of 0.1.
    fn normal() -> Histogram {
        let mut random = SplitMix64::new(5);
        let mut histogram = Histogram::new();
        (0..500_000).for_each(|_| histogram.add((random.normal() * 0.1) as f32));
        histogram
    }

    #[test]
    fn the_tail_of_a_normal_distribution_is_met_beyond_the_data_and_not_undercut() {
        let tail = Tail::fit(&normal()).unwrap();
        assert!((tail.from - 0.288).abs() < 0.005 && (-0.25..=0.0).contains(&tail.shape), "{tail:?}");
        // Upper tail probabilities of the normal distribution at 4, 5 and 6 deviations.
        for (similarity, log10_rate, above) in [(0.4, -4.499, 0.3), (0.5, -6.543, 1.0), (0.6, -9.006, 2.5)] {
            let claimed = tail.log10_rate_at(similarity);
            assert!((-0.2..above).contains(&(claimed - log10_rate)), "{similarity}: {claimed}");
        }
    }

    #[test]
    fn an_exponential_tail_has_no_end() {
        let mut random = SplitMix64::new(6);
        let mut histogram = Histogram::new();
        (0..500_000).for_each(|_| histogram.add((-0.02 * f64::ln(1.0 - random.unit())) as f32));
        let tail = Tail::fit(&histogram).unwrap();
        assert!(tail.shape >= -0.02 && (tail.scale - 0.02).abs() < 0.002, "{tail:?}");
    }

    #[test]
    fn one_wrong_label_in_ten_pairs_of_the_tail_does_not_move_it_far() {
        let (clean, mut noisy) = (normal(), normal());
        (0..50).for_each(|step| noisy.add(0.6 + step as f32 / 200.0));
        let tails = [clean, noisy].map(|histogram| Tail::fit(&histogram).unwrap());
        let [clean, noisy] = tails.map(|tail| tail.similarity(-7.0));
        assert!(noisy >= clean && noisy - clean < 0.08, "{clean} {noisy}");
    }

    #[test]
    fn similarity_and_rate_are_inverse_and_the_end_does_not_lie_below_one() {
        for shape in [0.0, -0.05] {
            let tail = Tail { from: 0.3, log10_rate: -3.0, scale: 0.035, shape };
            for log10_rate in [-3.0, -5.0, -9.0] {
                assert!((tail.log10_rate_at(tail.similarity(log10_rate)) - log10_rate).abs() < 1e-9);
            }
            assert!(tail.log10_rate_at(0.99) > f64::NEG_INFINITY);
        }
        // A uniform distribution ends at 0.5, but 1 must stay possible. Only the exponential shape allows that.
        let mut uniform = Histogram::new();
        (0..1_000_000).for_each(|step| uniform.add(step as f32 / 1e6 - 0.5));
        let tail = Tail::fit(&uniform).unwrap();
        assert!(tail.shape == 0.0 && tail.log10_rate_at(0.9) > f64::NEG_INFINITY, "{tail:?}");
    }

    #[test]
    fn too_few_pairs_have_no_tail() {
        let mut few = Histogram::new();
        (0..99_999).for_each(|step| few.add(step as f32 / 2e5));
        assert_eq!(Tail::fit(&few), None);
        assert_eq!(Tail::fit(&Histogram::new()), None);
    }
}
