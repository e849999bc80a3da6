//! Errors of loading signing keys, and of signing answers.

use std::path::PathBuf;

use faceline_shared::secret_file::SecretFileError;

/// Reason why there are no signing keys.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file cannot be read or written, or others may read it.
    #[error("signing key file {0}")]
    File(#[from] SecretFileError),
    /// A key cannot be used. The message does not show its text, which is secret.
    #[error("signing key file {path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file has no key of the algorithm in use.
    #[error("signing key file {path} has no key for {algorithm}; `faceline signing rotate` adds one")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The algorithm of the settings.
        algorithm: &'static str,
    },
    /// A new key cannot be generated.
    #[error("no signing key can be made: {0}")]
    Generate(#[from] rcgen::Error),
}

impl SigningError {
    /// Returns whether a key is missing. Adding a key solves that.
    pub(super) fn is_missing_key(&self) -> bool {
        match self {
            Self::NoKey { .. } => true,
            Self::File(error) => error.is_missing(),
            Self::Form { .. } | Self::Generate(_) => false,
        }
    }
}

/// Reason why an answer is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The answer cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The answer is not a JSON object, so it cannot contain a signature.
    #[error("only JSON objects are signed")]
    NotAnObject,
    /// The cryptographic library failed.
    #[error("signing failed")]
    Crypto,
}
