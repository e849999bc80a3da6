//! Liveness decisions.

use serde::{Deserialize, Serialize};

/// Certainty that the service needs before it decides that a person is live.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityLevel {
    /// Fewer living people are rejected, more attacks pass.
    Low,
    /// A compromise for general use.
    #[default]
    Medium,
    /// More living people are rejected, fewer attacks pass.
    High,
}

impl SecurityLevel {
    /// Scores above this threshold are live. Scores of passive and of active liveness have the same scale, 0 to 1.
    #[must_use]
    pub fn threshold(self) -> f32 {
        match self {
            Self::Low => 0.25,
            Self::Medium => 0.5,
            Self::High => 0.75,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_level_asks_for_more() {
        let [low, medium, high] =
            [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High].map(SecurityLevel::threshold);
        assert!(low < medium && medium < high);
        // The threshold that callers of Face Liveness use by default.
        assert_eq!(medium, 0.5);
    }
}
