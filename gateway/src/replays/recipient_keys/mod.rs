//! The keys for which devices encrypt uploads, and their certificates.

use faceline_shared::settings::Settings;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipientKeyError {}

/// The keys of an installation for uploads.
pub struct RecipientKeys {}

impl RecipientKeys {
    /// Loads the keys that `settings` name; makes them on the first start where the file is the gateway's own.
    ///
    /// # Errors
    /// [`RecipientKeyError`].
    pub fn load(_settings: &Settings) -> Result<Self, RecipientKeyError> {
        Ok(Self {})
    }

    /// The certificates that devices may encrypt for, the preferred one first: base64 of DER.
    #[must_use]
    pub fn certificates(&self) -> Vec<String> {
        vec![]
    }
}
