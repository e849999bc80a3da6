//! Exact bounds of a binomial proportion.

use statrs::distribution::{Beta, ContinuousCDF as _, Normal};

use super::bootstrap::Interval;

/// The 95 % interval of a proportion after `errors` of `trials` independent trials (Clopper and Pearson, 1934). `None`
/// without trials.
///
/// At its lower end, `errors` or more have a probability of 2.5 %. At its upper end, `errors` or fewer have. Both ends
/// are quantiles of beta distributions.
#[must_use]
pub fn exact_interval(errors: usize, trials: usize) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let (errors, others) = (errors.min(trials) as f64, trials.saturating_sub(errors) as f64);
    let quantile = |a: f64, b: f64, part: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(part));
    let low = if errors > 0.0 { quantile(errors, others + 1.0, 0.025)? } else { 0.0 };
    let high = if others > 0.0 { quantile(errors + 1.0, others, 0.975)? } else { 1.0 };
    Some(Interval { low, high })
}

/// The normal deviate of a rate: the inverse of the distribution function of the standard normal distribution (probit).
/// The axes of DET curves show it.
#[must_use]
pub fn normal_deviate(rate: f64) -> f64 {
    Normal::standard().inverse_cdf(rate.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        // Without errors there is the closed form 1 - 0.025^(1/n). The other cases are from Clopper and Pearson's
        // tables.
        for (errors, trials, low, high) in
            [(0, 20, 0.0, 0.1684), (20, 20, 0.8316, 1.0), (1, 10, 0.0025, 0.4450), (5, 10, 0.1871, 0.8129)]
        {
            let found = exact_interval(errors, trials).unwrap();
            assert!(
                (found.low - low).abs() < 1e-4 && (found.high - high).abs() < 1e-4,
                "{errors}: {found:?}"
            );
        }
        assert_eq!(exact_interval(0, 1).unwrap().high, 0.975);
        assert_eq!(exact_interval(0, 0), None);
    }

    #[test]
    fn deviates_are_those_of_the_tables() {
        for (rate, deviate) in [(0.5, 0.0), (0.025, -1.959_964), (0.84134, 0.999_98), (0.001, -3.090_232)] {
            assert!((normal_deviate(rate) - deviate).abs() < 1e-4, "{rate}");
        }
    }
}
