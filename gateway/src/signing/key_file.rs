//! The file of the signing keys: those that have signed, the one that signs, and the one that will.

use std::path::{Path, PathBuf};
use std::time::Duration;

use faceline_shared::secret_file;
use faceline_shared::settings::{Settings, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::error::SigningError;
use super::key::{SigningKey, StoredKey};
use super::key_set::KeySet;

/// Time for which a new key is published before it signs. By then every gateway has read it, and every cached copy of
/// the published keys (see `MAX_AGE`) has expired.
pub const ANNOUNCEMENT: Duration = Duration::from_secs(600);

const HEADING: &str = "\
# Private keys that sign answers. `faceline signing rotate` adds one. A key is published as long as it stands here, so
# that what it has signed can be checked; the newest one of the algorithm in use signs.
";

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    keys: Vec<StoredKey>,
}

/// The file of an installation's signing keys.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// Whether the gateway creates the file and missing keys in it, which it does only in its own data folder.
    is_own: bool,
    algorithm: SigningAlgorithm,
}

/// Reason for adding a key.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Change {
    /// The file has no key of the algorithm in use. No key is added if another process has added one meanwhile.
    CreateMissing,
    /// An operator rotates the keys.
    Rotate,
}

impl KeyFile {
    /// The file that `settings` name; `signing.toml` in the data folder if they name none.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let named = settings.signing.file.clone();
        Self {
            is_own: named.is_none(),
            path: named.unwrap_or_else(|| settings.data_dir.join("signing.toml")),
            algorithm: settings.signing.algorithm,
        }
    }

    /// Adds a key if the file is the gateway's own and has none of the algorithm in use.
    pub(super) fn create_if_missing(&self) -> Result<(), SigningError> {
        match self.keys() {
            Err(error) if self.is_own && error.is_missing_key() => {
                self.change(OffsetDateTime::now_utc(), Change::CreateMissing)?;
                tracing::info!(
                    file = %self.path.display(),
                    algorithm = self.algorithm.as_str(),
                    "made a new signing key; gateways of one installation share the file"
                );
                Ok(())
            }
            read => read.map(|_| ()),
        }
    }

    /// Returns whether the file has usable keys. If not, the gateway creates them at its start.
    ///
    /// # Errors
    /// [`SigningError`], with which the gateway would not start.
    pub fn check(&self) -> Result<bool, SigningError> {
        match self.keys() {
            Ok(_) => Ok(true),
            Err(error) if self.is_own && error.is_missing_key() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in the file.
    pub(super) fn keys(&self) -> Result<KeySet, SigningError> {
        self.parse(&self.read()?)
    }

    pub(super) fn read(&self) -> Result<String, SigningError> {
        Ok(secret_file::read(&self.path)?)
    }

    pub(super) fn parse(&self, text: &str) -> Result<KeySet, SigningError> {
        self.key_set(&self.content(text)?)
    }

    /// Adds a key that signs from `signs_from` on, and keeps the others. Creates the file if it does not exist.
    ///
    /// # Errors
    /// [`SigningError`]; the file is unchanged then.
    pub fn rotate(&self, signs_from: OffsetDateTime) -> Result<(), SigningError> {
        self.change(signs_from, Change::Rotate)
    }

    fn change(&self, signs_from: OffsetDateTime, change: Change) -> Result<(), SigningError> {
        secret_file::update(&self.path, |text| {
            let mut content = text.map(|text| self.content(&text)).transpose()?.unwrap_or_default();
            let is_missing_key = match self.key_set(&content) {
                Ok(_) => false,
                Err(error) if error.is_missing_key() => true,
                Err(error) => return Err(error),
            };
            if change == Change::CreateMissing && !is_missing_key {
                return Ok(None);
            }
            // If no other key can sign, the new one signs at once.
            let signs_from = if is_missing_key { OffsetDateTime::now_utc() } else { signs_from };
            content.keys.insert(0, StoredKey::generate(self.algorithm, signs_from)?);
            let text = toml::to_string_pretty(&content).map_err(|_| self.form("cannot be written"))?;
            Ok(Some(format!("{HEADING}\n{text}")))
        })
    }

    fn content(&self, text: &str) -> Result<Content, SigningError> {
        // The message of the TOML library may show a secret, and is left out.
        toml::from_str(text).map_err(|_| self.form("it is not of the form"))
    }

    fn key_set(&self, content: &Content) -> Result<KeySet, SigningError> {
        let keys = content
            .keys
            .iter()
            .map(|key| SigningKey::try_from(key).map_err(|reason| self.form(reason)))
            .collect::<Result<Vec<_>, _>>()?;
        KeySet::new(keys, self.algorithm).ok_or_else(|| SigningError::NoKey {
            path: self.path.clone(),
            algorithm: self.algorithm.as_str(),
        })
    }

    fn form(&self, reason: &'static str) -> SigningError {
        SigningError::Form { path: self.path.clone(), reason }
    }
}
