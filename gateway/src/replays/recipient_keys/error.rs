//! Errors of loading and changing the keys for uploads.

use std::path::PathBuf;

use faceline_shared::secret_file::SecretFileError;

/// Reason why the keys for uploads cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum RecipientKeyError {
    /// The file cannot be read or written, or others may read it.
    #[error("file of the keys for uploads: {0}")]
    File(#[from] SecretFileError),
    /// A key cannot be used. The message does not show its text, which is secret.
    #[error("file of the keys for uploads, {path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file has no key.
    #[error("file of the keys for uploads, {path}, has no key; `faceline replay-keys rotate` adds one")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A new key cannot be generated.
    #[error("no key for uploads can be made: {0}")]
    Generate(#[from] rcgen::Error),
    /// The key that is to be removed is not in the file.
    #[error("there is no key {0}")]
    Unknown(String),
    /// The key that is to be removed is the only one in use.
    #[error("the key is the only one in use; `replay-keys rotate --now` adds another first")]
    OnlyOne,
}

impl RecipientKeyError {
    /// Returns whether a key is missing. Adding a key solves that.
    pub(super) fn is_missing_key(&self) -> bool {
        match self {
            Self::NoKey { .. } => true,
            Self::File(error) => error.is_missing(),
            Self::Form { .. } | Self::Generate(_) | Self::Unknown(_) | Self::OnlyOne => false,
        }
    }
}
