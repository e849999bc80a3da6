//! The file of the keys for uploads: the previous ones, the one that devices get, and the next one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use faceline_shared::secret_file;
use faceline_shared::settings::Settings;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::error::RecipientKeyError;
use super::key_set::KeySet;
use super::stored_key::StoredKey;

/// Time for which a new key is in the file before devices get its certificate. By then every gateway has read the key
/// and can open what is encrypted for it.
pub const ANNOUNCEMENT: Duration = Duration::from_secs(600);

const HEADING: &str = "\
# Private keys for uploads of replays, and the certificates that devices get. `faceline replay-keys rotate` adds one.
# What was encrypted for a key opens as long as the key stands here.
";

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    keys: Vec<StoredKey>,
}

/// The file of an installation's keys for uploads.
#[derive(Clone, Debug)]
pub struct RecipientKeyFile {
    path: PathBuf,
    /// Whether the gateway creates the file, which it does only in its own data folder.
    is_own: bool,
}

impl RecipientKeyFile {
    /// The file that `settings` name; `replay.toml` in the data folder if they name none.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let named = settings.replay.keys_file.clone();
        Self { is_own: named.is_none(), path: named.unwrap_or_else(|| settings.data_dir.join("replay.toml")) }
    }

    /// Adds a key if the file is the gateway's own and has none. Of several gateways that start at the same time, one adds it.
    pub(super) fn create_if_missing(&self) -> Result<(), RecipientKeyError> {
        match self.keys() {
            Err(error) if self.is_own && error.is_missing_key() => {
                self.change(|content, is_missing_key| {
                    if !is_missing_key {
                        return Ok(());
                    }
                    add(content, OffsetDateTime::now_utc())
                })?;
                tracing::info!(
                    file = %self.path.display(),
                    "made a new key for uploads; gateways of one installation share the file"
                );
                Ok(())
            }
            read => read.map(|_| ()),
        }
    }

    /// Returns whether the file has usable keys. If not, the gateway creates them at its start.
    ///
    /// # Errors
    /// [`RecipientKeyError`], with which the gateway would not start.
    pub fn check(&self) -> Result<bool, RecipientKeyError> {
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
    pub(super) fn keys(&self) -> Result<KeySet, RecipientKeyError> {
        self.parse(&self.read()?)
    }

    pub(super) fn read(&self) -> Result<String, RecipientKeyError> {
        Ok(secret_file::read(&self.path)?)
    }

    pub(super) fn parse(&self, text: &str) -> Result<KeySet, RecipientKeyError> {
        self.key_set(&self.content(text)?)
    }

    /// Adds a key that devices get from `offered_from` on, and keeps the others. Creates the file if it does not
    /// exist.
    ///
    /// # Errors
    /// [`RecipientKeyError`]; the file is unchanged then.
    pub fn rotate(&self, offered_from: OffsetDateTime) -> Result<(), RecipientKeyError> {
        // If there is no other key, devices get the new one at once.
        self.change(|content, is_missing_key| {
            add(content, if is_missing_key { OffsetDateTime::now_utc() } else { offered_from })
        })
    }

    /// Removes the key with this id. Uploads that were encrypted for it no longer open.
    ///
    /// # Errors
    /// [`RecipientKeyError::Unknown`], [`RecipientKeyError::OnlyOne`], or another [`RecipientKeyError`]; the file is unchanged
    /// then.
    pub fn remove(&self, id: &str) -> Result<(), RecipientKeyError> {
        self.change(|content, _| {
            let is_named = |key: &StoredKey| key.key().is_ok_and(|key| key.id() == id);
            let at = content.keys.iter().position(is_named);
            content.keys.remove(at.ok_or_else(|| RecipientKeyError::Unknown(id.to_owned()))?);
            let now = OffsetDateTime::now_utc();
            if content.keys.iter().any(|key| key.offered_from <= now) {
                Ok(())
            } else {
                Err(RecipientKeyError::OnlyOne)
            }
        })
    }

    /// Changes the content. The second argument of `change` is whether the file has no key.
    fn change(
        &self,
        change: impl FnOnce(&mut Content, bool) -> Result<(), RecipientKeyError>,
    ) -> Result<(), RecipientKeyError> {
        secret_file::update(&self.path, |text| {
            let mut content = text.map(|text| self.content(&text)).transpose()?.unwrap_or_default();
            let is_missing_key = match self.key_set(&content) {
                Ok(_) => false,
                Err(error) if error.is_missing_key() => true,
                Err(error) => return Err(error),
            };
            change(&mut content, is_missing_key)?;
            let text = toml::to_string_pretty(&content).map_err(|_| self.form("it cannot be written"))?;
            Ok(Some(format!("{HEADING}\n{text}")))
        })
    }

    fn content(&self, text: &str) -> Result<Content, RecipientKeyError> {
        // The message of the TOML library may show a secret, and is left out.
        toml::from_str(text).map_err(|_| self.form("it is not of the form"))
    }

    fn key_set(&self, content: &Content) -> Result<KeySet, RecipientKeyError> {
        let keys = content
            .keys
            .iter()
            .map(|stored| Ok((stored.offered_from, stored.key()?)))
            .collect::<Result<Vec<_>, String>>()
            .map_err(|reason| self.form(reason))?;
        KeySet::new(keys).ok_or_else(|| RecipientKeyError::NoKey { path: self.path.clone() })
    }

    fn form(&self, reason: impl Into<String>) -> RecipientKeyError {
        RecipientKeyError::Form { path: self.path.clone(), reason: reason.into() }
    }
}

fn add(content: &mut Content, offered_from: OffsetDateTime) -> Result<(), RecipientKeyError> {
    content.keys.insert(0, StoredKey::generate(offered_from)?);
    Ok(())
}
