//! Files with secrets. Only their owner may read them, and each change replaces the whole file in one step.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Why a file with secrets is not used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Its permissions let others than its owner read it.
    #[error("{0} can be read by others; chmod 600 it")]
    Readable(PathBuf),
}

impl SecretFileError {
    /// Whether the file does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The text of the file at `path`.
///
/// # Errors
/// [`SecretFileError::Io`] if the file cannot be read; [`SecretFileError::Readable`] if others may read it.
pub fn read(path: &Path) -> Result<String, SecretFileError> {
    let io = |source| SecretFileError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
        return Err(SecretFileError::Readable(path.to_owned()));
    }
    io::read_to_string(&mut file).map_err(io)
}

/// Changes the file at `path` under a lock, which other processes that change it wait for. `change` gets the text of the file, if
/// it exists, and returns the new text, or `None` to leave it as it is. Only its owner may read a new file. An existing file keeps
/// its owner and its permissions.
///
/// Readers need no lock: they see either the old file or the new one.
///
/// # Errors
/// As [`read`]; [`SecretFileError::Io`] if the file or its folder cannot be written; the errors of `change`.
pub fn update<E: From<SecretFileError>>(
    path: &Path,
    change: impl FnOnce(Option<String>) -> Result<Option<String>, E>,
) -> Result<(), E> {
    change_locked(path, read, change)
}

/// As [`update`], for a file that others may read because its secrets are hashed or sealed. If `path` is a link, the file that
/// it leads to is changed.
///
/// # Errors
/// As [`update`].
pub fn update_readable<E: From<SecretFileError>>(
    path: &Path,
    change: impl FnOnce(Option<String>) -> Result<Option<String>, E>,
) -> Result<(), E> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|source| SecretFileError::Io { path: path.to_owned(), source })
    };
    let target = fs::canonicalize(path);
    change_locked(target.as_deref().unwrap_or(path), read, change)
}

fn change_locked<E: From<SecretFileError>>(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<String, SecretFileError>,
    change: impl FnOnce(Option<String>) -> Result<Option<String>, E>,
) -> Result<(), E> {
    let io = |source| SecretFileError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    fs::create_dir_all(folder).map_err(io)?;
    // The lock is a file of its own, since the other one is replaced. It ends with the handle, so a process that dies blocks
    // no other.
    let lock = open(&folder.join(format!(".{name}.lock")), false).map_err(io)?;
    lock.lock().map_err(io)?;

    let text = match read(path) {
        Ok(text) => Some(text),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    let Some(text) = change(text)? else {
        return Ok(());
    };
    let temporary = folder.join(format!(".{name}-{}", uuid::Uuid::new_v4()));
    let replaced = open(&temporary, true)
        .and_then(|mut file| {
            copy_owner_and_permissions(&file, path)?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all())
        })
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if replaced.is_err() {
        // Fails if the file was already renamed; then there is nothing to remove.
        let _ = fs::remove_file(&temporary);
    }
    Ok(replaced.map_err(io)?)
}

/// Gives `file` the owner and the permissions of the file at `path`, if that exists. A running gateway under another user, for
/// example, can then still read it.
fn copy_owner_and_permissions(file: &File, path: &Path) -> io::Result<()> {
    let Ok(old) = fs::metadata(path) else { return Ok(()) };
    let new = file.metadata()?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

fn open(path: &Path, new: bool) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create(true).create_new(new).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(path: &Path, more: &str) -> Result<(), SecretFileError> {
        update(path, |text| Ok(Some(text.unwrap_or_default() + more)))
    }

    #[test]
    fn changes_that_meet_are_all_made_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below").join("secret");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20).for_each(|_| append(&path, "x").unwrap()));
            }
        });
        assert_eq!(read(&path).unwrap(), "x".repeat(160));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut names: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".secret.lock", "secret"]);
    }

    #[test]
    fn what_others_may_read_is_neither_read_nor_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        append(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(SecretFileError::Readable(_))));
        assert!(matches!(append(&path, "y"), Err(SecretFileError::Readable(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "x");
    }

    #[test]
    fn what_others_may_read_stays_so_where_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        let add = |path: &Path| {
            update_readable(path, |text| -> Result<_, SecretFileError> {
                Ok(Some(text.unwrap_or_default() + "x"))
            })
        };
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        add(&path).unwrap();
        assert_eq!(mode(), 0o600, "a new one is its owner's");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        add(&link).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("xx", 0o640));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(matches!(append(&path, "y"), Err(SecretFileError::Readable(_))));
    }

    #[test]
    fn a_change_that_fails_or_is_none_leaves_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(read(&path).unwrap_err().is_missing());
        update(&path, |text| -> Result<_, SecretFileError> {
            assert_eq!(text, None);
            Ok(None)
        })
        .unwrap();
        assert!(!path.exists());
        let failed = update(&path, |_| Err(SecretFileError::Readable("elsewhere".into())));
        assert!(matches!(failed, Err(SecretFileError::Readable(_))));
        assert!(!path.exists());
    }
}
