//! Score and false acceptance rate (FAR).
//!
//! `score = 1500 - 500 * log10(FAR)`. Both samples in the Biometric Services text lie on this line, and so does its table of
//! thresholds (3500 at 0.01 %, 4500 at 0.0001 %).

use serde::{Deserialize, Serialize};

/// A false acceptance rate as a fraction in `0..=1`.
///
/// It may be smaller than [`Far::FLOOR`], which bounds only the percentage in answers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, PartialOrd, Serialize)]
pub struct Far(f64);

impl Far {
    /// The rate at which every comparison of different people is accepted.
    pub const ONE: Self = Self(1.0);
    /// The smallest percentage in an answer.
    pub const FLOOR: f64 = 1e-15;

    /// A rate from its decimal logarithm. Logarithms above 0 count as 0 (FAR 100 %).
    #[must_use]
    pub fn from_log10(log10: f64) -> Self {
        Self(10_f64.powf(log10.min(0.0)))
    }

    /// A rate from a fraction. A fraction above 1, or one that is not a number, counts as 1.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Self {
        if fraction < 1.0 { Self(fraction.max(f64::MIN_POSITIVE)) } else { Self::ONE }
    }

    /// The rate as a fraction.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.0
    }

    /// `falseAcceptanceRate` of the Biometric Services API: a percentage, never below [`Far::FLOOR`].
    #[must_use]
    pub fn percentage(self) -> f64 {
        (self.0 * 100.0).max(Self::FLOOR)
    }

    /// `score` of the Biometric Services API: 1500 at 100 %, and 500 more for each power of ten below.
    #[must_use]
    pub fn score(self) -> f64 {
        1500.0 - 500.0 * self.0.log10()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        ((a - b) / b).abs() < 1e-12
    }

    #[test]
    fn the_first_sample_of_the_text_fits() {
        let far = Far::from_fraction(2.865_047_561_675_269_4e-11 / 100.0);
        assert!(close(far.score(), 7_771.434_082_031_25), "{}", far.score());
        assert!(close(far.percentage(), 2.865_047_561_675_269_4e-11));
    }

    #[test]
    fn the_second_sample_of_the_text_fits() {
        let far = Far::from_log10((1500.0 - 10_269.438_178_710_938) / 500.0);
        assert!(close(far.score(), 10_269.438_178_710_938), "{}", far.score());
        assert!(close(far.percentage(), 1e-15));
    }

    #[test]
    fn the_threshold_table_of_the_text_fits() {
        for (percentage, score) in
            [(0.0001, 4500.0), (0.001, 4000.0), (0.01, 3500.0), (0.1, 3000.0), (1.0, 2500.0)]
        {
            assert!(close(Far::from_fraction(percentage / 100.0).score(), score));
        }
        assert_eq!(Far::ONE.score(), 1500.0);
        assert_eq!(Far::ONE.percentage(), 100.0);
    }
}
