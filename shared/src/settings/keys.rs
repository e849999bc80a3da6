//! The section `keys`.

use std::path::PathBuf;

use serde::Deserialize;

/// Keys that seal everything which leaves a process: jobs, blobs, sessions, templates.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// The key file, which all gateways and workers share and follow while they run. If this is not set, it is `keys.toml` in `data_dir`, made at the
    /// first start.
    pub file: Option<PathBuf>,
}
