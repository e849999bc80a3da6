//! What counts as live.

use serde::{Deserialize, Serialize};

/// How sure the service has to be before it calls somebody live.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityLevel {
    /// Fewer people are turned away, more attacks pass.
    Low,
    /// The usual trade.
    #[default]
    Medium,
    /// More people are turned away, fewer attacks pass.
    High,
}

impl SecurityLevel {
    /// A liveness score above this is live. All scores, passive ones and those of motion, are on one scale.
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
        // The default of those who judge by the score themselves.
        assert_eq!(medium, 0.5);
    }
}
