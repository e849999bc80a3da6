//! The section `replay`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::{SettingsError, all_above_zero};

/// Videos that are captured on a device and judged here.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ReplaySettings {
    /// A device must have begun its upload within this time of the replay's parameters, or the replay ends with TIMEOUT.
    #[serde(with = "humantime_serde")]
    pub upload_timeout: Duration,
    /// The longest video, in bytes.
    pub media_bytes: u64,
    /// An upload that is slower than this ends, in bytes a second.
    pub min_upload_rate: u64,
    /// The most uploads that a gateway receives at the same time. `limits.client_share` of them are for one client while others are
    /// present.
    pub uploads: usize,
    /// A worker must have judged a video within this time of its upload. Then the job is published once more; after the same time
    /// again the replay ends with ERROR.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// File of the keys and certificates for which devices encrypt uploads. If this is not set, it is `replay.toml` in `data_dir`,
    /// and the gateway makes it. All gateways of an installation share it.
    pub keys_file: Option<PathBuf>,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self {
            upload_timeout: Duration::from_mins(5),
            media_bytes: 100 << 20,
            min_upload_rate: 16 << 10,
            uploads: 32,
            deadline: Duration::from_mins(2),
            keys_file: None,
        }
    }
}

impl ReplaySettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        all_above_zero([
            ("replay.upload_timeout", self.upload_timeout.as_millis()),
            ("replay.media_bytes", self.media_bytes.into()),
            ("replay.min_upload_rate", self.min_upload_rate.into()),
            ("replay.uploads", self.uploads as u128),
            ("replay.deadline", self.deadline.as_millis()),
        ])
    }
}
