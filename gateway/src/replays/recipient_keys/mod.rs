//! The keys for which devices encrypt uploads, and their certificates.
//!
//! A device gets the certificates in the signed parameters of a replay. It already has the key that verifies this
//! signature, so the certificates need no certificate authority.

mod command;
mod error;
mod key_file;
mod key_set;
mod stored_key;

use std::sync::Arc;

use base64_simd::STANDARD;
use faceline_shared::replay::jwe::{self, JweError};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use faceline_shared::watched_file::{FileSource, WatchMetrics, WatchedFile};
use time::OffsetDateTime;

pub use self::command::{ReplayKeysCommand, ReplayKeysCommandError};
pub use self::error::RecipientKeyError;
pub use self::key_file::{ANNOUNCEMENT, RecipientKeyFile};
use self::key_set::{KeySet, KeyStatus};

/// The keys of an installation for uploads.
pub struct RecipientKeys {
    keys: Arc<WatchedFile<WatchedKeys>>,
}

/// The key file as a source of keys.
struct WatchedKeys(RecipientKeyFile);

impl FileSource for WatchedKeys {
    type Content = String;
    type Value = KeySet;
    type Error = RecipientKeyError;

    fn read(&self) -> Result<String, RecipientKeyError> {
        self.0.read()
    }

    fn parse(&self, text: &String) -> Result<KeySet, RecipientKeyError> {
        self.0.parse(text)
    }
}

impl RecipientKeys {
    /// Loads the keys that `settings` name. If they name no file, the first start creates `replay.toml` in the data
    /// folder.
    ///
    /// # Errors
    /// [`RecipientKeyError`].
    pub fn load(settings: &Settings, metrics: &Metrics) -> Result<Self, RecipientKeyError> {
        let file = RecipientKeyFile::of(settings);
        file.create_if_missing()?;
        let keys = Arc::new(WatchedFile::load(WatchedKeys(file), WatchMetrics::new(metrics, "replay_keys"))?);
        let shown = Arc::clone(&keys);
        metrics.certificates().show("replay.keys_file", move || {
            let keys = shown.current();
            let mut all = keys.all(OffsetDateTime::now_utc());
            let (.., active) = all.find(|(status, ..)| *status == KeyStatus::Active)?;
            Some(active.certificate().to_vec())
        });
        Ok(Self { keys })
    }

    /// The certificates for which devices may encrypt, the preferred one first: base64 of DER.
    #[must_use]
    pub fn certificates(&self) -> Vec<String> {
        let keys = self.keys.current();
        keys.all(OffsetDateTime::now_utc())
            .filter(|(status, ..)| *status != KeyStatus::Next)
            .map(|(.., key)| STANDARD.encode_to_string(key.certificate()))
            .collect()
    }

    /// Decrypts a JWE for one of the keys, even if that key is not offered yet.
    ///
    /// # Errors
    /// [`JweError`].
    pub fn open(&self, jwe: &str) -> Result<Vec<u8>, JweError> {
        jwe::open(jwe, self.keys.current().keys())
    }

    /// Follows changes of the key file until the future is dropped.
    pub async fn watch(self: Arc<Self>) {
        Arc::clone(&self.keys).watch().await;
    }
}

#[cfg(test)]
mod tests;
