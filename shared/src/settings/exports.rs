//! The section `exports`.

use serde::Deserialize;

use super::error::SettingsError;
use super::objects::ObjectSettings;

/// Media of replays that are exported, readable, for the service provider.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct ExportSettings {
    /// The best images are exported.
    pub images: bool,
    /// The videos are exported.
    pub videos: bool,
    /// Where to: a bucket of its own, with server-side encryption.
    pub store: ObjectSettings,
}

impl ExportSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.store.validate()
    }
}
