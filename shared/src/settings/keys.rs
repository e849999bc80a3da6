//! The section `keys`.

use std::path::PathBuf;

use serde::Deserialize;

/// Keys that seal (encrypt) all data that leaves a process: jobs, blobs, sessions, templates.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// Key file that all gateways and workers share; they read it again when it changes. If this is not set, it is
    /// `keys.toml` in `data_dir`, created at the first start.
    pub file: Option<PathBuf>,
}
