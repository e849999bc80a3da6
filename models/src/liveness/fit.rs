//! The fit of log-odds to log-likelihood ratios over several sources.

use std::collections::{BTreeMap, BTreeSet};

/// Strength of the ridge penalty on the scale, in presentations. It matters only if the classes do not overlap at all.
const RIDGE: f64 = 1e-3;

/// Maximum number of Newton steps. Newton's method on two parameters converges long before.
const ITERATIONS: usize = 50;

/// A presentation for the fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The source that it comes from.
    pub source: String,
    /// Whether it is bona fide.
    pub is_live: bool,
    /// The mean log-odds of the liveness networks.
    pub log_odds: f32,
}

/// An affine map from log-odds to a log-likelihood ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LlrFit {
    /// Factor of the log-odds.
    pub scale: f64,
    /// Added to the scaled log-odds.
    pub offset: f64,
}

impl LlrFit {
    /// Fits a logistic regression. Bona fide presentations and attacks have the same total weight, and within each
    /// class all sources have the same weight. The prior odds are then 1, so the logit of the posterior is the LLR.
    /// Returns `None` if one of the classes is missing, or if the log-odds do not rise with liveness.
    #[must_use]
    pub fn new(samples: &[Sample]) -> Option<Self> {
        let samples: Vec<&Sample> = samples.iter().filter(|sample| sample.log_odds.is_finite()).collect();
        let mut counts: BTreeMap<(bool, &str), f64> = BTreeMap::new();
        for sample in &samples {
            *counts.entry((sample.is_live, sample.source.as_str())).or_default() += 1.0;
        }
        let sources = |is_live: bool| {
            let of_class: BTreeSet<&str> =
                counts.keys().filter(|(live, _)| *live == is_live).map(|(_, source)| *source).collect();
            of_class.len() as f64
        };
        let [attack, live] = [false, true].map(sources);
        if attack == 0.0 || live == 0.0 {
            return None;
        }
        let all = samples.len() as f64;
        let weighted: Vec<(f64, f64, f64)> = samples
            .iter()
            .map(|sample| {
                let of_class = if sample.is_live { live } else { attack };
                let count = counts[&(sample.is_live, sample.source.as_str())];
                (
                    f64::from(sample.log_odds),
                    f64::from(u8::from(sample.is_live)),
                    all / 2.0 / of_class / count,
                )
            })
            .collect();
        let fit = newton(&weighted);
        (fit.scale.is_finite() && fit.offset.is_finite() && fit.scale > 0.0).then_some(fit)
    }
}

/// Minimises the weighted cross-entropy of (log-odds, class, weight) by damped Newton steps.
fn newton(samples: &[(f64, f64, f64)]) -> LlrFit {
    let (mut scale, mut offset) = (0.1, 0.0);
    let loss = |scale: f64, offset: f64| {
        let terms = samples.iter().map(|(x, class, weight)| {
            let z = scale * x + offset;
            // Cross-entropy: ln(1 + exp(-z)) for bona fide presentations, ln(1 + exp(z)) for attacks.
            weight * (z.max(0.0) - z * class + (-z.abs()).exp().ln_1p())
        });
        terms.sum::<f64>() + RIDGE * scale * scale
    };
    for _ in 0..ITERATIONS {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (2.0 * RIDGE * scale, 0.0, 2.0 * RIDGE, 0.0, 1e-9);
        for (x, class, weight) in samples {
            let p = 1.0 / (1.0 + (-(scale * x + offset)).exp());
            let (gradient, curvature) = (weight * (p - class), weight * p * (1.0 - p));
            g0 += gradient * x;
            g1 += gradient;
            h00 += curvature * x * x;
            h01 += curvature * x;
            h11 += curvature;
        }
        let determinant = h00 * h11 - h01 * h01;
        let (step0, step1) = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
        let before = loss(scale, offset);
        let mut length = 1.0;
        while length > 1e-6 && loss(scale - length * step0, offset - length * step1) > before {
            length /= 2.0;
        }
        (scale, offset) = (scale - length * step0, offset - length * step1);
        if (length * step0).abs() + (length * step1).abs() < 1e-9 {
            break;
        }
    }
    LlrFit { scale, offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(source: &str, is_live: bool, log_odds: f32) -> Sample {
        Sample { source: source.to_owned(), is_live, log_odds }
    }

    /// Quantiles of a logistic distribution about `centre`: 1 / (1 + exp(centre - x)) is uniform.
    fn logistic(source: &str, is_live: bool, centre: f32, count: u16) -> Vec<Sample> {
        let value = |step: u16| {
            let part = (f32::from(step) + 0.5) / f32::from(count);
            sample(source, is_live, centre + (part / (1.0 - part)).ln())
        };
        (0..count).map(value).collect()
    }

    #[test]
    fn mirrored_classes_have_no_offset() {
        let samples = [logistic("a", true, 2.0, 200), logistic("a", false, -2.0, 200)].concat();
        let fit = LlrFit::new(&samples).unwrap();
        assert!(fit.offset.abs() < 1e-6 && fit.scale > 0.5, "{fit:?}");
    }

    #[test]
    fn a_large_source_weighs_no_more_than_a_small_one() {
        let one = |count| {
            [logistic("a", true, 2.0, count), logistic("b", true, 4.0, 100), logistic("a", false, -2.0, 100)]
                .concat()
        };
        let [small, large] = [100, 5000].map(|count| LlrFit::new(&one(count)).unwrap());
        assert!((small.offset - large.offset).abs() < 0.02, "{small:?} {large:?}");
    }

    #[test]
    fn what_cannot_be_fitted_gives_nothing() {
        assert_eq!(LlrFit::new(&logistic("a", true, 0.0, 9)), None);
        assert_eq!(LlrFit::new(&[]), None);
        let reversed = [logistic("a", true, -2.0, 99), logistic("a", false, 2.0, 99)].concat();
        assert_eq!(LlrFit::new(&reversed), None);
    }

    #[test]
    fn classes_that_do_not_overlap_have_a_finite_fit() {
        let samples = [sample("a", true, 5.0), sample("a", false, -5.0), sample("a", true, f32::NAN)];
        let fit = LlrFit::new(&samples).unwrap();
        assert!(fit.scale.is_finite() && fit.offset.abs() < 1e-3, "{fit:?}");
    }
}
