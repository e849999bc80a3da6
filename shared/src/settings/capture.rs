//! The section `capture`.

use serde::Deserialize;

/// Capturing devices and pages.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct CaptureSettings {
    /// The id of a session opens the upload and the status of its replay, without a credential, to pages of `http.cors_origins`.
    /// Pages that were made for the original service need this. If it is not set, this is so with the demo account only.
    pub session_id_authorises: Option<bool>,
}
