//! The section `url_input`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero};
use super::host_pattern::HostPattern;
use super::network::Network;

/// Pictures that callers of Face Liveness name by a URL, which the gateway fetches. This is off until hosts are allowed.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct UrlInputSettings {
    /// Hosts from which pictures are fetched: `pictures.example`, `*.pictures.example`, `pictures.example:8443`.
    pub hosts: Vec<HostPattern>,
    /// Entries of `hosts` whose addresses may be private (RFC 1918, 4193 and 6598).
    pub private_hosts: Vec<HostPattern>,
    /// Networks whose addresses may be called even if they are not public, such as `10.0.0.0/8`.
    pub allowed_networks: Vec<Network>,
    /// Maximum size of a picture, in bytes. `limits.picture_bytes` applies as well.
    pub max_bytes: usize,
    /// Time within which the gateway must have fetched the picture, including redirects. `jobs.deadline` applies as
    /// well.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Maximum number of redirects that the gateway follows for one picture.
    pub max_redirects: usize,
    /// Maximum number of pictures that a gateway fetches at the same time.
    pub concurrency: usize,
}

impl Default for UrlInputSettings {
    fn default() -> Self {
        Self {
            hosts: vec![],
            private_hosts: vec![],
            allowed_networks: vec![],
            max_bytes: 32 << 20,
            timeout: Duration::from_secs(5),
            max_redirects: 3,
            concurrency: 16,
        }
    }
}

impl UrlInputSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        all_above_zero([
            ("url_input.max_bytes", self.max_bytes as u128),
            ("url_input.timeout", self.timeout.as_millis()),
            ("url_input.concurrency", self.concurrency as u128),
        ])
    }
}
