//! The keys that seal everything: one ring for data with a bounded lifetime, one for templates, which callers keep for ever.
//!
//! Both are in the key file, which all gateways and workers share. Running processes follow its changes.

mod file;

use std::path::PathBuf;
use std::sync::Arc;

pub use self::file::{KeyFile, KeyState, Ring};
use crate::seal::{KeyRing, KeyRingError, SealError};
use crate::secret_file::SecretFileError;
use crate::settings::Settings;
use crate::telemetry::Metrics;
use crate::watched_file::{FileSource, WatchMetrics, WatchedFile};

/// The rings of an installation. Clones share them, and follow the key file while [`Keys::follow`] runs.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Keys for payloads, blobs and stores. A key may be dropped when everything that it sealed has expired.
    pub data: KeyRing,
    /// Keys for templates, which are never dropped.
    pub templates: KeyRing,
}

/// Reason why the keys cannot be loaded or changed.
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
    /// The system's random number generator fails.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// An operator named a key that the file does not have.
    #[error("key file {path} has no key `{id}`")]
    UnknownKey {
        /// The key file.
        path: PathBuf,
        /// The key's id.
        id: String,
    },
    /// An operator wanted to remove a key that is needed.
    #[error("the key `{id}` is not removed: {reason}")]
    KeyInUse {
        /// The key's id.
        id: String,
        /// Reason why it is needed.
        reason: &'static str,
    },
}

impl Keys {
    /// Loads the keys that `settings` name. If they name no file, the first start creates `keys.toml` in the data
    /// folder. Processes that start at the same time agree on one file.
    ///
    /// # Errors
    /// [`KeysError`]: a named file does not exist, others may read a file, or it is broken.
    pub fn load(settings: &Settings) -> Result<Self, KeysError> {
        let file = KeyFile::of(settings);
        if settings.keys.file.is_none() {
            file.create_if_missing()?;
            if !settings.broker.url.is_embedded() {
                tracing::warn!(
                    file = %file.path().display(),
                    "keys.file is not set, so this process uses the keys of its own data folder; gateways and workers elsewhere cannot \
                     open what it seals: copy this file to all of them, and name it by keys.file"
                );
            }
        }
        file.keys()
    }

    /// As [`Keys::load`], but creates no keys.
    ///
    /// # Errors
    /// As [`Keys::load`]; also if the file does not exist.
    pub fn find(settings: &Settings) -> Result<Self, KeysError> {
        KeyFile::of(settings).keys()
    }

    /// Applies changes of the key file to these rings, in the background. A file that cannot be used changes nothing,
    /// and is reported.
    ///
    /// # Errors
    /// As [`Keys::load`].
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn follow(&self, settings: &Settings, metrics: &Metrics) -> Result<(), KeysError> {
        let source = FollowedKeys { file: KeyFile::of(settings), rings: self.clone() };
        let watched = WatchedFile::load(source, WatchMetrics::new(metrics, "sealing_keys"))?;
        tokio::spawn(Arc::new(watched).watch());
        Ok(())
    }
}

/// The key file, and the rings that follow it.
struct FollowedKeys {
    file: KeyFile,
    rings: Keys,
}

impl FileSource for FollowedKeys {
    type Content = String;
    type Value = Keys;
    type Error = KeysError;

    fn read(&self) -> Result<String, KeysError> {
        self.file.read()
    }

    fn parse(&self, text: &String) -> Result<Keys, KeysError> {
        self.file.parse(text)
    }

    fn taken(&self, keys: &Keys) {
        for (ring, new) in [(&self.rings.data, &keys.data), (&self.rings.templates, &keys.templates)] {
            let active = new.fingerprint();
            if !ring.has(active) {
                tracing::warn!(
                    key = %active,
                    "a key became active that this process did not have before; processes that do not have it yet cannot open what it seals"
                );
            }
        }
        self.rings.data.replace(&keys.data);
        // The templates that callers keep open only with the key that sealed them.
        for id in self.rings.templates.replace_and_keep(&keys.templates) {
            tracing::warn!(
                id,
                "a template key is gone from the key file; this process keeps it until it ends"
            );
        }
    }
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

    /// Polls as the watch of a running process does: a change counts when it is found twice.
    fn poll(watched: &WatchedFile<FollowedKeys>) {
        watched.poll();
        watched.poll();
    }

    #[test]
    fn running_processes_follow_the_file_and_drop_no_template_key() {
        let config = Settings { data_dir: folder(), ..Settings::default() };
        let keys = Keys::load(&config).unwrap();
        let file = KeyFile::of(&config);
        let source = FollowedKeys { file: file.clone(), rings: keys.clone() };
        let metrics = Metrics::new();
        let watched = WatchedFile::load(source, WatchMetrics::new(&metrics, "sealing_keys")).unwrap();
        let template = keys.templates.seal(Purpose::Template, b"", b"plain").unwrap();
        let data = keys.data.seal(Purpose::Job, b"", b"plain").unwrap();

        let before = keys.data.fingerprint();
        let added = file.add(&[Ring::Data]).unwrap();
        poll(&watched);
        assert_eq!((keys.data.fingerprint(), keys.data.fingerprints().len()), (before, 2));
        file.activate(&added[0]).unwrap();
        poll(&watched);
        assert!(keys.data.fingerprint() != before && keys.data.open(Purpose::Job, b"", &data).is_ok());

        let usable = fs::read_to_string(file.path()).unwrap();
        fs::write(file.path(), "half a fi").unwrap();
        poll(&watched);
        assert!(metrics.encode().contains("faceline_sealing_keys_current 0\n"));
        assert!(keys.data.open(Purpose::Job, b"", &data).is_ok(), "the old ring stays");

        // A file of another installation.
        let other = Settings { data_dir: folder(), ..Settings::default() };
        Keys::load(&other).unwrap();
        fs::write(file.path(), fs::read_to_string(KeyFile::of(&other).path()).unwrap()).unwrap();
        poll(&watched);
        assert!(keys.data.open(Purpose::Job, b"", &data).is_err());
        assert!(keys.templates.open(Purpose::Template, b"", &template).is_ok());

        fs::write(file.path(), usable).unwrap();
        poll(&watched);
        assert!(keys.data.open(Purpose::Job, b"", &data).is_ok());
        for settings in [config, other] {
            fs::remove_dir_all(&settings.data_dir).unwrap();
        }
    }

    #[test]
    fn a_named_file_is_never_made() {
        let mut config = Settings { data_dir: folder(), ..Settings::default() };
        config.keys.file = Some(config.data_dir.join("elsewhere.toml"));
        assert!(matches!(Keys::load(&config), Err(KeysError::File(error)) if error.is_missing()));
        fs::remove_dir_all(&config.data_dir).unwrap();
    }
}
