//! The key file: one ring for what lives for hours at most, one for templates, which live for ever.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::seal::{KeyRing, KeyRingError, KeyRingFile, SealError};

/// The rings of an installation.
#[derive(Clone, Debug)]
pub struct Keys {
    /// For payloads and blobs; a key may be dropped after the longest time to live.
    pub data: KeyRing,
    /// For templates; a key is never dropped.
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
    /// The file cannot be read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others than its owner may read the file.
    #[error("key file {0} can be read by others; chmod 600 it")]
    Readable(PathBuf),
    /// The text is not of the form. It is not shown, since it holds secrets.
    #[error("key file {0} is not of the form")]
    Form(PathBuf),
    /// A ring is not usable.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// No random numbers.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Keys {
    /// The keys that `config` names. Where it names no file, `keys.toml` in the data folder is made at the first
    /// start; processes that start at the same time agree on one.
    ///
    /// # Errors
    /// A named file that is not there, a file that others may read, a broken file.
    pub fn load(config: &Config) -> Result<Self, KeysError> {
        if let Some(file) = &config.keys.file {
            return Self::read(file);
        }
        let file = config.data_dir.join("keys.toml");
        if !file.exists() {
            create(&file)?;
            tracing::info!(file = %file.display(), "made new keys; gateways and workers of one installation share them");
        }
        Self::read(&file)
    }

    fn read(path: &Path) -> Result<Self, KeysError> {
        let io = |source| KeysError::Io { path: path.to_owned(), source };
        if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(KeysError::Readable(path.to_owned()));
        }
        let text = fs::read_to_string(path).map_err(io)?;
        let file: KeyFile = toml::from_str(&text).map_err(|_| KeysError::Form(path.to_owned()))?;
        Ok(Self { data: (&file.data).try_into()?, templates: (&file.templates).try_into()? })
    }
}

/// Writes a new key file beside `path` and links it there, so that the first of several processes wins and no
/// reader sees half a file.
fn create(path: &Path) -> Result<(), KeysError> {
    let io = |source| KeysError::Io { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io)?;
    let keys = KeyFile { data: KeyRingFile::generate()?, templates: KeyRingFile::generate()? };
    let text = toml::to_string(&keys).map_err(|_| KeysError::Form(path.to_owned()))?;

    let temporary = folder.join(format!(".keys-{}", uuid::Uuid::new_v4()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    let linked = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&temporary).map_err(io)?;
    linked.map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Purpose;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("faceline-keys-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_first_start_makes_keys_and_the_second_finds_them() {
        let config = Config { data_dir: folder(), ..Config::default() };
        let sealed = Keys::load(&config).unwrap().data.seal(Purpose::Job, b"", b"plain").unwrap();
        assert_eq!(Keys::load(&config).unwrap().data.open(Purpose::Job, b"", &sealed).unwrap(), b"plain");
        let mode = fs::metadata(config.data_dir.join("keys.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&config.data_dir).unwrap();
    }

    #[test]
    fn processes_that_start_together_agree() {
        let config = Config { data_dir: folder(), ..Config::default() };
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
        let config = Config { data_dir: folder(), ..Config::default() };
        Keys::load(&config).unwrap();
        let file = config.data_dir.join("keys.toml");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::load(&config), Err(KeysError::Readable(_))));
        fs::remove_dir_all(&config.data_dir).unwrap();
    }

    #[test]
    fn a_named_file_is_never_made() {
        let mut config = Config { data_dir: folder(), ..Config::default() };
        config.keys.file = Some(config.data_dir.join("elsewhere.toml"));
        assert!(matches!(Keys::load(&config), Err(KeysError::Io { .. })));
        fs::remove_dir_all(&config.data_dir).unwrap();
    }
}
