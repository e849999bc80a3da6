//! The section `liveness`.

use serde::Deserialize;

use crate::liveness::SecurityLevel;

/// Liveness decisions.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct LivenessSettings {
    /// How certain BWS must be before it says live: above a score of 0.25 (`LOW`), 0.5 (`MEDIUM`) or 0.75 (`HIGH`). Callers of
    /// Face Liveness get the score and judge for themselves.
    pub security_level: SecurityLevel,
    /// Name of a liveness calibration that `faceline-models calibrate liveness` made from pictures of living people: its thresholds replace
    /// those that ship. Workers read it from `liveness-calibrations` in `models.dir`. Empty: the one that ships.
    pub calibration: String,
}
