//! The section `accounts`.

use std::path::PathBuf;

use serde::Deserialize;

/// Accounts of callers.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct AccountSettings {
    /// Accounts file with the clients and their keys. If this is not set, only the demo account exists, and only on a
    /// loopback listener.
    pub file: Option<PathBuf>,
}
