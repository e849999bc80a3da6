//! The section `usage`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero, invalid};

/// Usage records, the basis of billing.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct UsageSettings {
    /// Time for which records are kept, in whole days.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Interval at which a gateway moves records from the session store to the object store. Only then does an export
    /// contain them.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Maximum size of the records that wait in `data_dir` while the session store is unavailable, in bytes; a record
    /// takes about 500. Further records are lost, and counted.
    pub deferred_bytes: u64,
}

impl Default for UsageSettings {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(400 * 24),
            interval: Duration::from_secs(30),
            deferred_bytes: 256 << 20,
        }
    }
}

impl UsageSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.retention < Duration::from_hours(24) || self.interval.is_zero() {
            return invalid("usage.retention must be at least a day and usage.interval above 0");
        }
        all_above_zero([("usage.deferred_bytes", self.deferred_bytes.into())])
    }
}
