//! The section `admission`.

use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, invalid};

/// Admission of jobs: the adaptive concurrency limit (AIMD) and `Retry-After`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Waiting time in the queue that a gateway aims for while it must refuse jobs. While it refuses none, jobs may
    /// wait for up to half their deadline. It must be above the broker's own latency.
    #[serde(with = "humantime_serde")]
    pub target_wait: Duration,
    /// Maximum `Retry-After`, in whole seconds. A caller for whom the gateway cannot reserve capacity within this
    /// time gets no reservation.
    #[serde(with = "humantime_serde")]
    pub max_retry_after: Duration,
    /// Maximum `Retry-After` for requests with videos, which take longer.
    #[serde(with = "humantime_serde")]
    pub max_video_retry_after: Duration,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            target_wait: Duration::from_millis(500),
            max_retry_after: Duration::from_secs(30),
            max_video_retry_after: Duration::from_mins(5),
        }
    }
}

impl AdmissionSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let longest = self.max_retry_after.min(self.max_video_retry_after);
        if self.target_wait.is_zero() || longest < Duration::from_secs(1) {
            return invalid(
                "admission.target_wait must be above 0, and admission.max_retry_after and max_video_retry_after at least a second",
            );
        }
        Ok(())
    }
}
