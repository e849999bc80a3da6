//! The section `signing`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Keys that sign answers (JWS, RFC 7515).
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct SigningSettings {
    /// File with the signing keys, which all gateways share. If this is not set, it is `signing.toml` in `data_dir`,
    /// created at the first start.
    pub file: Option<PathBuf>,
    /// Signature algorithm: `ES256` (ECDSA on P-256) or `RS256` (RSA).
    pub algorithm: SigningAlgorithm,
}

/// Signature algorithms, by their names in RFC 7518, 3.1.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl SigningAlgorithm {
    /// The algorithm's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}
