//! The key file: its format, and changes to it by operators.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Keys, KeysError};
use crate::seal::{KeyFingerprint, KeyRing, KeyRingFile};
use crate::secret_file;
use crate::settings::Settings;

/// The file with an installation's sealing keys.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

/// One of the two rings of a key file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ring {
    /// Keys for payloads, blobs and stores.
    Data,
    /// Keys for templates.
    Templates,
}

/// A key in the file, without its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyState {
    /// The key's ring.
    pub ring: Ring,
    /// The key's id.
    pub id: String,
    /// Whether the key seals new records. Any other key only opens what it has sealed.
    pub is_active: bool,
    /// The key's fingerprint, which log lines name.
    pub fingerprint: KeyFingerprint,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    data: KeyRingFile,
    templates: KeyRingFile,
}

impl Ring {
    /// The ring's name in the key file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Templates => "templates",
        }
    }
}

impl Content {
    fn rings(&mut self) -> [(Ring, &mut KeyRingFile); 2] {
        [(Ring::Data, &mut self.data), (Ring::Templates, &mut self.templates)]
    }
}

impl KeyFile {
    /// The file that `settings` name; `keys.toml` in the data folder if they name none.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let named = settings.keys.file.clone();
        Self { path: named.unwrap_or_else(|| settings.data_dir.join("keys.toml")) }
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in the file.
    ///
    /// # Errors
    /// [`KeysError::File`], [`KeysError::Form`] or [`KeysError::Ring`].
    pub fn keys(&self) -> Result<Keys, KeysError> {
        self.parse(&self.read()?)
    }

    pub(super) fn read(&self) -> Result<String, KeysError> {
        Ok(secret_file::read(&self.path)?)
    }

    pub(super) fn parse(&self, text: &str) -> Result<Keys, KeysError> {
        let content = self.content(text)?;
        Ok(Keys { data: (&content.data).try_into()?, templates: (&content.templates).try_into()? })
    }

    /// Creates the file with new keys, unless it exists or another process creates it first.
    ///
    /// # Errors
    /// As [`KeyFile::keys`]; also if the file cannot be written.
    pub fn create_if_missing(&self) -> Result<(), KeysError> {
        if self.path.exists() {
            return Ok(());
        }
        secret_file::update(&self.path, |text| {
            if text.is_some() {
                return Ok::<_, KeysError>(None);
            }
            let new = Content { data: KeyRingFile::generate()?, templates: KeyRingFile::generate()? };
            self.text(&new).map(Some)
        })?;
        tracing::info!(
            file = %self.path.display(),
            "made new keys; gateways and workers of one installation share them"
        );
        Ok(())
    }

    /// The keys in the file, without their secrets.
    ///
    /// # Errors
    /// As [`KeyFile::keys`].
    pub fn list(&self) -> Result<Vec<KeyState>, KeysError> {
        let mut content = self.content(&self.read()?)?;
        let mut states = Vec::new();
        for (ring, file) in content.rings() {
            for id in file.keys.keys() {
                // A ring whose active key is this one, for its fingerprint.
                let alone = KeyRing::try_from(&KeyRingFile { active: id.clone(), keys: file.keys.clone() })?;
                let is_active = *id == file.active;
                states.push(KeyState { ring, id: id.clone(), is_active, fingerprint: alone.fingerprint() });
            }
        }
        Ok(states)
    }

    /// Adds a key to each of `rings`. A new key only opens records until it is activated. Returns the new ids.
    ///
    /// # Errors
    /// [`KeysError`]; the file is unchanged then.
    pub fn add(&self, rings: &[Ring]) -> Result<Vec<String>, KeysError> {
        let mut added = Vec::new();
        self.change(|content| {
            for (ring, file) in content.rings() {
                if rings.contains(&ring) {
                    let new = KeyRingFile::generate()?;
                    file.keys.extend(new.keys);
                    added.push(new.active);
                }
            }
            Ok(())
        })?;
        Ok(added)
    }

    /// Makes the key with this id the active one of its ring. The previously active key only opens records from now on.
    ///
    /// # Errors
    /// [`KeysError::UnknownKey`], or as [`KeyFile::keys`]; the file is unchanged then.
    pub fn activate(&self, id: &str) -> Result<(), KeysError> {
        self.change(|content| {
            let mut rings = content.rings().into_iter();
            let (_, file) =
                rings.find(|(_, file)| file.keys.contains_key(id)).ok_or_else(|| self.unknown(id))?;
            id.clone_into(&mut file.active);
            Ok(())
        })
    }

    /// Removes a data key. Records that it has sealed do not open any more.
    ///
    /// # Errors
    /// [`KeysError::KeyInUse`] for an active key or a template key, [`KeysError::UnknownKey`], or as [`KeyFile::keys`]; the file is
    /// unchanged then.
    pub fn remove(&self, id: &str) -> Result<(), KeysError> {
        let needed = |reason| KeysError::KeyInUse { id: id.to_owned(), reason };
        self.change(|content| {
            if content.templates.keys.contains_key(id) {
                return Err(needed("templates that callers keep open with it only"));
            }
            if content.data.active == id {
                return Err(needed("it is active; activate another one first"));
            }
            content.data.keys.remove(id).map(drop).ok_or_else(|| self.unknown(id))
        })
    }

    fn change(&self, change: impl FnOnce(&mut Content) -> Result<(), KeysError>) -> Result<(), KeysError> {
        secret_file::update(&self.path, |text| {
            // Without the file this fails, as every read does.
            let text = text.map_or_else(|| self.read(), Ok)?;
            self.parse(&text)?;
            let mut content = self.content(&text)?;
            change(&mut content)?;
            self.text(&content).map(Some)
        })
    }

    fn content(&self, text: &str) -> Result<Content, KeysError> {
        // The message of the TOML library may show a secret, and is left out.
        toml::from_str(text).map_err(|_| KeysError::Form(self.path.clone()))
    }

    fn text(&self, content: &Content) -> Result<String, KeysError> {
        toml::to_string(content).map_err(|_| KeysError::Form(self.path.clone()))
    }

    fn unknown(&self, id: &str) -> KeysError {
        KeysError::UnknownKey { path: self.path.clone(), id: id.to_owned() }
    }
}
