//! Signatures of answers (JWS, RFC 7515) and the keys that make them.
//!
//! What is signed is the answer's own text without its last member, `signature`. How callers check it stands in
//! `gateway/api/signatures.md`.

mod command;
mod file;
mod key;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use faceline_shared::secret_file::SecretFileError;
use faceline_shared::settings::Settings;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

pub use self::command::{SigningCommand, SigningCommandError};
pub use self::file::KeyFile;
use self::file::KeySet;
use self::key::{Jwk, Payload};
use crate::families::json;
use crate::follow::follow;

/// How often a gateway looks whether the key file has changed.
const LOOK: Duration = Duration::from_secs(5);

/// How long verifiers and caches may keep the published keys.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// A new key is published for so long before it signs: by then every gateway has read it, and every copy of the old
/// list is out of date.
pub const ANNOUNCED: Duration = Duration::from_secs(600);

/// The public keys (RFC 7517).
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwkSet<'a> {
    /// The key that signs, the next one, and those that have signed.
    #[schema(value_type = Vec<Jwk>)]
    keys: Vec<&'a Jwk>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file is not to be had, or not safe.
    #[error("signing key file {0}")]
    File(#[from] SecretFileError),
    /// A key cannot be used. Its text is not shown, since it is secret.
    #[error("signing key file {path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Nothing in the file can sign.
    #[error("signing key file {path} has no key for {algorithm}; `faceline signing rotate` adds one")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The algorithm of the settings.
        algorithm: &'static str,
    },
    /// No key can be made.
    #[error("no signing key can be made: {0}")]
    Generate(#[from] rcgen::Error),
}

impl SigningError {
    /// Whether a new key would help.
    fn is_lack(&self) -> bool {
        match self {
            Self::NoKey { .. } => true,
            Self::File(error) => error.is_missing(),
            Self::Form { .. } | Self::Generate(_) => false,
        }
    }
}

/// Why an answer is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A signature is a member, and this has none.
    #[error("only JSON objects are signed")]
    NotAnObject,
    /// The library failed.
    #[error("signing failed")]
    Crypto,
}

/// Which state of the file was read: replacing a file changes its inode, writing to it its time.
type Timestamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &Path) -> Timestamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.size()))
}

/// Signs answers.
pub struct Signer {
    file: KeyFile,
    keys: ArcSwap<KeySet>,
    /// The state that was looked at last.
    seen: Mutex<Option<Timestamp>>,
}

impl Signer {
    /// A signer with the keys that `config` names. Where it names no file, `signing.toml` in the data folder is made at
    /// the first start, and gets a key more where it has none of the algorithm; gateways that start at the same time
    /// agree.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn load(config: &Settings) -> Result<Self, SigningError> {
        let file = KeyFile::of(config);
        let keys = file.load()?;
        // Unknown, so that the first look reads again: another process may have been at it in between.
        Ok(Self { keys: ArcSwap::from_pointee(keys), seen: Mutex::new(None), file })
    }

    /// The text of `value`, which must be a JSON object, with `signature` as its last member.
    ///
    /// The payload is the text without that member, to the byte: `JSON.parse`, `delete`, `JSON.stringify` give it back.
    /// For that, no member's name may be a number (engines move those to the front), and no integer may be beyond 2^53.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signed(&self, value: &impl Serialize) -> Result<Vec<u8>, SignError> {
        self.sign(value, Payload::Attached)
    }

    /// As [`Signer::signed`], with nothing between the signature's dots (RFC 7515, appendix F): for answers that hold an
    /// image, which would else be sent twice.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn detached(&self, value: &impl Serialize) -> Result<Vec<u8>, SignError> {
        self.sign(value, Payload::Detached)
    }

    /// A JSON array of which each element is signed.
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
        let signature = self.keys.load().active(OffsetDateTime::now_utc()).jws(&text, form)?;
        text.pop();
        if text.len() > 1 {
            text.push(b',');
        }
        // The signature is base64url and dots, which need no escape.
        text.extend([br#""signature":""#, signature.as_bytes(), br#""}"#].concat());
        Ok(text)
    }

    /// The JWK set (RFC 7517) of all keys: the active one first, then those that wait and those that are retired.
    ///
    /// # Errors
    /// As `serde_json`.
    pub fn jwks(&self) -> serde_json::Result<Vec<u8>> {
        let keys = self.keys.load();
        let keys = keys.all(OffsetDateTime::now_utc()).into_iter().map(|(_, key)| key.jwk()).collect();
        json::to_vec(&JwkSet { keys })
    }

    /// The certificates of all keys as PEM, in the order of [`Signer::jwks`].
    #[must_use]
    pub fn certificates(&self) -> String {
        let keys = self.keys.load();
        keys.all(OffsetDateTime::now_utc()).into_iter().map(|(_, key)| key.certificate()).collect()
    }

    /// Reads the key file again where it has changed. Where it is broken, the keys stay as they are.
    pub fn look(&self) {
        // Before the file is read: what changes in between is seen the next time.
        let found = Some(stamp(&self.file.path));
        let seen = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), found);
        if seen == found {
            return;
        }
        match self.file.read() {
            Ok(keys) => {
                if keys.kids().ne(self.keys.load().kids()) {
                    tracing::info!(count = keys.kids().count(), "the signing keys have changed");
                }
                self.keys.store(Arc::new(keys));
            }
            Err(error) => {
                tracing::warn!(%error, "the signing keys stay as they were");
                // What is in the file is wrong until somebody writes it anew; not being able to read it may pass by itself.
                if matches!(error, SigningError::File(_)) {
                    *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
            }
        }
    }

    /// Looks after the key file for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        follow("signing keys", LOOK, move || self.look()).await;
    }
}

#[cfg(test)]
mod tests;
