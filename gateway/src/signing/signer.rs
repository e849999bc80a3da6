//! Signs answers.

use std::sync::Arc;

use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use faceline_shared::watched_file::{FileSource, WatchMetrics, WatchedFile};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use time::OffsetDateTime;

use super::error::{SignError, SigningError};
use super::jwk::JwkSet;
use super::key::Payload;
use super::key_file::KeyFile;
use super::key_set::KeySet;
use crate::families::json;

/// Signs answers with the keys of the installation, and publishes their public parts.
pub struct Signer {
    keys: Arc<WatchedFile<WatchedKeys>>,
}

/// The key file as a source of keys.
struct WatchedKeys(KeyFile);

impl FileSource for WatchedKeys {
    type Content = String;
    type Value = KeySet;
    type Error = SigningError;

    fn read(&self) -> Result<String, SigningError> {
        self.0.read()
    }

    fn parse(&self, text: &String) -> Result<KeySet, SigningError> {
        self.0.parse(text)
    }
}

impl Signer {
    /// Loads the keys that `settings` name. If they name no file, the first start creates `signing.toml` in the data
    /// folder, and a start with another algorithm adds a key to it. Gateways that start at the same time agree on one
    /// key.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn load(settings: &Settings, metrics: &Metrics) -> Result<Self, SigningError> {
        let file = KeyFile::of(settings);
        file.create_if_missing()?;
        let keys =
            Arc::new(WatchedFile::load(WatchedKeys(file), WatchMetrics::new(metrics, "signing_keys"))?);
        let shown = Arc::clone(&keys);
        metrics.certificates().show("signing.file", move || {
            let keys = shown.current();
            let pem = keys.active(OffsetDateTime::now_utc()).certificate();
            CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
        });
        Ok(Self { keys })
    }

    /// Returns the JSON text of `value`, which must be a JSON object, with `signature` as its last member.
    ///
    /// The payload is the exact text without that member: `JSON.parse`, `delete`, `JSON.stringify` give it back. This
    /// requires that no member's name is a number, since JavaScript engines move those to the front, and that no
    /// integer is beyond 2^53.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signed(&self, value: &impl Serialize) -> Result<Vec<u8>, SignError> {
        self.sign(value, Payload::Attached)
    }

    /// As [`Signer::signed`], but the JWS does not contain the payload (detached content; RFC 7515, appendix F). Answers with an
    /// image would otherwise contain it twice.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn detached(&self, value: &impl Serialize) -> Result<Vec<u8>, SignError> {
        self.sign(value, Payload::Detached)
    }

    /// Returns a JSON array, each element of which is signed.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signed_list(&self, values: &[impl Serialize]) -> Result<Vec<u8>, SignError> {
        let mut text = vec![b'['];
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.append(&mut self.signed(value)?);
        }
        text.push(b']');
        Ok(text)
    }

    fn sign(&self, value: &impl Serialize, form: Payload) -> Result<Vec<u8>, SignError> {
        let mut text = json::to_vec(value)?;
        if text.first() != Some(&b'{') {
            return Err(SignError::NotAnObject);
        }
        let signature = self.keys.current().active(OffsetDateTime::now_utc()).jws(&text, form)?;
        text.pop();
        if text.len() > 1 {
            text.push(b',');
        }
        // A JWS consists of base64url and dots, which JSON does not escape.
        text.extend([br#""signature":""#, signature.as_bytes(), br#""}"#].concat());
        Ok(text)
    }

    /// The JWK set (RFC 7517) of all keys: the active one first, then the next and the retired ones.
    ///
    /// # Errors
    /// The set cannot be written as JSON.
    pub fn jwks(&self) -> serde_json::Result<Vec<u8>> {
        let keys = self.keys.current();
        let keys = keys.all(OffsetDateTime::now_utc()).into_iter().map(|(_, key)| key.jwk()).collect();
        json::to_vec(&JwkSet { keys })
    }

    /// The certificates of all keys as PEM, in the order of [`Signer::jwks`].
    #[must_use]
    pub fn certificates(&self) -> String {
        let keys = self.keys.current();
        keys.all(OffsetDateTime::now_utc()).into_iter().map(|(_, key)| key.certificate()).collect()
    }

    /// Follows changes of the key file until the future is dropped.
    pub async fn watch(self: Arc<Self>) {
        Arc::clone(&self.keys).watch().await;
    }
}

#[cfg(test)]
mod tests;
