//! The section `sessions`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero, invalid};

/// Limits of sessions.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// Lifetime of a session if its caller sets none.
    #[serde(with = "humantime_serde")]
    pub default_ttl: Duration,
    /// Maximum lifetime that a caller may set.
    #[serde(with = "humantime_serde")]
    pub max_ttl: Duration,
    /// Maximum number of faces in one session.
    pub max_faces: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { default_ttl: Duration::from_mins(30), max_ttl: Duration::from_hours(24), max_faces: 250 }
    }
}

impl SessionSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.default_ttl < Duration::from_secs(1) || self.max_ttl < self.default_ttl {
            return invalid("sessions.default_ttl must be at least a second and at most sessions.max_ttl");
        }
        all_above_zero([("sessions.max_faces", self.max_faces as u128)])
    }
}
