//! The certainty that live pictures and a photo show the same person, by the false acceptance rate (FAR) of the
//! comparison.
//!
//! The comments of [`VerificationLevel`] are texts of the OpenAPI document.

use faceline_shared::score::Far;
use serde::Serialize;
use utoipa::ToSchema;

/// Tolerance for the rounding error of a rate that is computed from its logarithm.
const ROUNDING_TOLERANCE: f64 = 1.0 + 1e-9;

/// The accuracy level of a comparison, by its false acceptance rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = BwsAccuracyLevel)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum VerificationLevel {
    /// Not the same person, or not compared.
    NotRecognized,
    /// A false acceptance rate of at most 0.5 %.
    #[serde(rename = "LEVEL_1")]
    One,
    /// A false acceptance rate of at most 0.25 %.
    #[serde(rename = "LEVEL_2")]
    Two,
    /// A false acceptance rate of at most 0.1 %.
    #[serde(rename = "LEVEL_3")]
    Three,
    /// A false acceptance rate of at most 0.01 %.
    #[serde(rename = "LEVEL_4")]
    Four,
    /// A false acceptance rate of at most 0.001 %.
    #[serde(rename = "LEVEL_5")]
    Five,
}

impl VerificationLevel {
    /// The highest level that a rate reaches.
    pub(super) fn of(far: Far) -> Self {
        match far.fraction() / ROUNDING_TOLERANCE {
            rate if rate <= 0.001e-2 => Self::Five,
            rate if rate <= 0.01e-2 => Self::Four,
            rate if rate <= 0.1e-2 => Self::Three,
            rate if rate <= 0.25e-2 => Self::Two,
            rate if rate <= 0.5e-2 => Self::One,
            _ => Self::NotRecognized,
        }
    }
}

/// The score of a rate, above 0 to 1: `1 / (1 + sqrt(FAR / 0.0001))`.
///
/// The score is a logistic curve over the logarithm of the rate. It is 0.5 at the rate of
/// [`VerificationLevel::Four`], the lowest level at which a person should be accepted. A rate 100 times lower is 10
/// times closer to 1.
pub(super) fn score(far: Far) -> f64 {
    1.0 / (1.0 + (far.fraction() / 0.01e-2).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_begins_at_its_rate() {
        for (percentage, level, below) in [
            (0.001, VerificationLevel::Five, VerificationLevel::Four),
            (0.01, VerificationLevel::Four, VerificationLevel::Three),
            (0.1, VerificationLevel::Three, VerificationLevel::Two),
            (0.25, VerificationLevel::Two, VerificationLevel::One),
            (0.5, VerificationLevel::One, VerificationLevel::NotRecognized),
        ] {
            let at = |percentage: f64| VerificationLevel::of(Far::from_fraction(percentage / 100.0));
            assert_eq!((at(percentage), at(percentage * 1.001)), (level, below));
            let from_logarithm = Far::from_log10((percentage / 100.0).log10());
            assert_eq!(VerificationLevel::of(from_logarithm), level);
        }
        assert_eq!(VerificationLevel::of(Far::ONE), VerificationLevel::NotRecognized);
        assert_eq!(VerificationLevel::of(Far::from_log10(-40.0)), VerificationLevel::Five);
    }

    #[test]
    fn a_score_grows_as_the_rate_falls_and_is_never_none() {
        let scores: Vec<_> = (0..=30).map(|step| score(Far::from_log10(f64::from(-step) / 2.0))).collect();
        assert!(scores.is_sorted_by(|a, b| a < b), "{scores:?}");
        assert!(scores.iter().all(|score| (0.009..=1.0).contains(score)), "{scores:?}");
        assert!((score(Far::from_fraction(1e-4)) - 0.5).abs() < 1e-12);
    }
}
