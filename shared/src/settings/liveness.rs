//! The section `liveness`.

use serde::Deserialize;

use crate::liveness::SecurityLevel;

/// Liveness decisions.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct LivenessSettings {
    /// Score above which BWS reports a living person: 0.25 (`LOW`), 0.5 (`MEDIUM`) or 0.75 (`HIGH`). Callers of Face
    /// Liveness get the score and decide for themselves.
    pub security_level: SecurityLevel,
    /// Name of a liveness calibration that `faceline-models calibrate liveness` made; its thresholds replace the
    /// shipped ones. Workers read it from `liveness-calibrations` in `models.dir`. If this is empty, the shipped
    /// thresholds apply.
    pub calibration: String,
}
