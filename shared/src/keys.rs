//! The key file, with two rings of keys: one for data with a bounded lifetime, one for templates, which callers keep for ever.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::seal::{KeyRing, KeyRingError, KeyRingFile, SealError};
use crate::secret_file::{self, SecretFileError};
use crate::settings::Settings;

/// The rings of an installation.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Keys for payloads, blobs and stores. A key may be dropped when everything that it sealed has expired.
    pub data: KeyRing,
    /// Keys for templates, which are never dropped.
    pub templates: KeyRing,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    data: KeyRingFile,
    templates: KeyRingFile,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written, or others may read it.
    #[error("key file {0}")]
    File(#[from] SecretFileError),
    /// The file is not of the right form. The message does not show its text, which contains secrets.
    #[error("key file {0} is not of the form")]
    Form(PathBuf),
    /// A ring cannot be used.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// The system has no random numbers.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Keys {
    /// The keys that `settings` name. If they name no file, the first start makes `keys.toml` in the data folder. Processes that
    /// start at the same time agree on one file.
    ///
    /// # Errors
    /// [`KeysError`]: a named file does not exist, others may read a file, or it is broken.
    pub fn load(settings: &Settings) -> Result<Self, KeysError> {
        if let Some(file) = &settings.keys.file {
            return Self::read(file);
        }
        let file = settings.data_dir.join("keys.toml");
        if !file.exists() {
            create(&file)?;
            tracing::info!(file = %file.display(), "made new keys; gateways and workers of one installation share them");
        }
        Self::read(&file)
    }

    /// As [`Keys::load`], but makes no keys.
    ///
    /// # Errors
    /// As [`Keys::load`]; also if the file does not exist.
    pub fn find(settings: &Settings) -> Result<Self, KeysError> {
        Self::read(settings.keys.file.as_ref().unwrap_or(&settings.data_dir.join("keys.toml")))
    }

    fn read(path: &Path) -> Result<Self, KeysError> {
        let text = secret_file::read(path)?;
        let file: KeyFile = toml::from_str(&text).map_err(|_| KeysError::Form(path.to_owned()))?;
        Ok(Self { data: (&file.data).try_into()?, templates: (&file.templates).try_into()? })
    }
}

/// Makes the key file, unless another process was faster.
fn create(path: &Path) -> Result<(), KeysError> {
    secret_file::update(path, |text| {
        if text.is_some() {
            return Ok(None);
        }
        let keys = KeyFile { data: KeyRingFile::generate()?, templates: KeyRingFile::generate()? };
        toml::to_string(&keys).map(Some).map_err(|_| KeysError::Form(path.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::seal::Purpose;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("faceline-keys-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_first_start_makes_keys_and_the_second_finds_them() {
        let config = Settings { data_dir: folder(), ..Settings::default() };
        let sealed = Keys::load(&config).unwrap().data.seal(Purpose::Job, b"", b"plain").unwrap();
        assert_eq!(Keys::load(&config).unwrap().data.open(Purpose::Job, b"", &sealed).unwrap(), b"plain");
        let mode = fs::metadata(config.data_dir.join("keys.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&config.data_dir).unwrap();
    }

    #[test]
    fn processes_that_start_together_agree() {
        let config = Settings { data_dir: folder(), ..Settings::default() };
        let all: Vec<Keys> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| Keys::load(&config).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let sealed = all[0].templates.seal(Purpose::Template, b"", b"plain").unwrap();
        assert!(all.iter().all(|keys| keys.templates.open(Purpose::Template, b"", &sealed).is_ok()));
        fs::remove_dir_all(&config.data_dir).unwrap();
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let config = Settings { data_dir: folder(), ..Settings::default() };
        Keys::load(&config).unwrap();
        let file = config.data_dir.join("keys.toml");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::load(&config), Err(KeysError::File(SecretFileError::Readable(_)))));
        fs::remove_dir_all(&config.data_dir).unwrap();
    }

    #[test]
    fn a_named_file_is_never_made() {
        let mut config = Settings { data_dir: folder(), ..Settings::default() };
        config.keys.file = Some(config.data_dir.join("elsewhere.toml"));
        assert!(matches!(Keys::load(&config), Err(KeysError::File(error)) if error.is_missing()));
        fs::remove_dir_all(&config.data_dir).unwrap();
    }
}
