//! The section `callbacks`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero};
use super::host_pattern::HostPattern;
use super::network::Network;

/// Callbacks: requests that tell service providers that a replay has ended.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct CallbackSettings {
    /// Hosts whose addresses may be private (RFC 1918, 4193 and 6598), such as receivers in the same cluster.
    pub private_hosts: Vec<HostPattern>,
    /// Networks whose addresses may be called even if they are not public, such as `10.0.0.0/8`.
    pub allowed_networks: Vec<Network>,
    /// Time within which a receiver must answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Time for which callbacks that no receiver accepted are kept for `faceline-gateway callbacks`.
    #[serde(with = "humantime_serde")]
    pub dead_letter_retention: Duration,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            private_hosts: vec![],
            allowed_networks: vec![],
            timeout: Duration::from_secs(10),
            dead_letter_retention: Duration::from_hours(7 * 24),
        }
    }
}

impl CallbackSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        all_above_zero([
            ("callbacks.timeout", self.timeout.as_millis()),
            ("callbacks.dead_letter_retention", self.dead_letter_retention.as_millis()),
        ])
    }
}
