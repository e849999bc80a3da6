//! The section `admission`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, invalid};

/// Admission of jobs: the adaptive concurrency limit (AIMD) and `Retry-After`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionSettings {
    /// While a gateway must refuse jobs, it keeps the queue so short that the others wait for about this time. As long as it
    /// refuses nobody, jobs may wait for up to half their deadline. It must be above the broker's own latency.
    #[serde(with = "humantime_serde")]
    pub target_wait: Duration,
    /// The longest `Retry-After` that a gateway sends, in whole seconds. A caller for whom no capacity can be reserved until
    /// then gets no reservation.
    #[serde(with = "humantime_serde")]
    pub longest_retry_after: Duration,
    /// The same for requests with videos, which take longer.
    #[serde(with = "humantime_serde")]
    pub longest_video_retry_after: Duration,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            target_wait: Duration::from_millis(500),
            longest_retry_after: Duration::from_secs(30),
            longest_video_retry_after: Duration::from_mins(5),
        }
    }
}

impl AdmissionSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let longest = self.longest_retry_after.min(self.longest_video_retry_after);
        if self.target_wait.is_zero() || longest < Duration::from_secs(1) {
            return invalid(
                "admission.target_wait must be above 0, and admission.longest_retry_after and longest_video_retry_after at least a second",
            );
        }
        Ok(())
    }
}
