//! Files with secrets. Only their owner and the process's groups may read them, only some of these groups may change them, and each
//! change replaces the whole file in one step.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::process::{Gid, getegid, geteuid, getgroups};

/// Reason why a file with secrets is not used.
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
    /// Its permissions are too wide. Users other than its owner and this process's groups may read it, or users other
    /// than its owner and a group that was given to this process alone may change it.
    #[error(
        "{0} can be read or changed by others; chmod 600 it (in Kubernetes: `defaultMode: 0400` at the volume of the Secret, and \
         `fsGroup`)"
    )]
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
    if is_open_to_others(&file.metadata().map_err(io)?) {
        return Err(SecretFileError::Readable(path.to_owned()));
    }
    io::read_to_string(&mut file).map_err(io)
}

/// Whether others may read or change the file at `path`, by the rule that [`read`] applies. For files whose permissions another
/// program chose, as with private keys of TLS.
///
/// # Errors
/// The file does not exist or cannot be reached.
pub fn is_readable_by_others(path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|file| is_open_to_others(&file))
}

/// Whether users other than the owner and the intended groups may read or change a file.
///
/// With `fsGroup`, Kubernetes gives the files of a volume to a supplementary group of the process. It lets that group
/// read them, and change them where the volume can be written. Files of root that another group may read are accepted
/// as well, because only root can have set that permission.
///
/// A primary group that many users share, such as `users`, may read a file but not change it: a user who can replace a
/// key can read all records that are sealed with it from then on. A primary group with the number of its user belongs
/// to that user alone.
fn is_open_to_others(file: &Metadata) -> bool {
    are_permissions_open(file.mode(), file.uid(), || GroupRole::of_this_process(file.gid()))
}

/// Relation of a group to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum GroupRole {
    /// Its primary group, which other users may share.
    Primary,
    /// Its primary group, which has the number of its user.
    PrivatePrimary,
    /// A supplementary group and not its primary one.
    Supplementary,
    /// None of its groups.
    Foreign,
}

impl GroupRole {
    fn of_this_process(group: u32) -> Self {
        let supplementary: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        Self::new(group, geteuid().as_raw(), getegid().as_raw(), &supplementary)
    }

    fn new(group: u32, user: u32, primary: u32, supplementary: &[u32]) -> Self {
        // The primary group comes first: systems list it among the supplementary ones, too.
        if group == primary {
            if group == user { Self::PrivatePrimary } else { Self::Primary }
        } else if supplementary.contains(&group) {
            Self::Supplementary
        } else {
            Self::Foreign
        }
    }
}

fn are_permissions_open(mode: u32, owner: u32, group: impl Fn() -> GroupRole) -> bool {
    const GROUP: u32 = 0o070;
    const GROUP_READS: u32 = 0o040;
    const GROUP_WRITES: u32 = 0o020;
    let is_for_group = match mode & GROUP {
        0 => true,
        GROUP_READS if owner == 0 => true,
        bits => match group() {
            GroupRole::PrivatePrimary | GroupRole::Supplementary => true,
            GroupRole::Primary => bits & GROUP_WRITES == 0,
            GroupRole::Foreign => false,
        },
    };
    mode & 0o007 != 0 || !is_for_group
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_group_may_read_what_root_gave_it_or_is_its_own_and_only_some_may_change_it() {
        use GroupRole::{Foreign, Primary, PrivatePrimary, Supplementary};
        const ROOT: u32 = 0;
        const USER: u32 = 1000;
        for (mode, owner, group, is_open) in [
            (0o100_600, USER, Foreign, false),
            (0o100_400, ROOT, Foreign, false),
            // A Secret with `defaultMode: 0400` and `fsGroup`; the same on a node that does not support the group.
            (0o100_440, ROOT, Supplementary, false),
            (0o100_440, ROOT, Foreign, false),
            // A file that the process wrote to a volume, after Kubernetes has applied `fsGroup` at the next start.
            (0o100_660, USER, Supplementary, false),
            (0o100_660, USER, PrivatePrimary, false),
            // A group that others share may not replace keys, also not without reading them.
            (0o100_660, USER, Primary, true),
            (0o100_660, ROOT, Primary, true),
            (0o100_620, USER, Primary, true),
            (0o100_640, USER, Primary, false),
            (0o100_640, USER, Supplementary, false),
            (0o100_640, USER, Foreign, true),
            (0o100_660, ROOT, Foreign, true),
            // A Secret with the default mode.
            (0o100_644, ROOT, Supplementary, true),
            (0o100_604, USER, PrivatePrimary, true),
            (0o100_602, USER, Supplementary, true),
            (0o100_644, USER, Foreign, true),
        ] {
            let found = are_permissions_open(mode, owner, || group);
            assert_eq!(found, is_open, "{mode:o} of {owner}, {group:?}");
        }
    }

    #[test]
    fn a_primary_group_is_supplementary_in_no_case() {
        let role = |group, user, primary| GroupRole::new(group, user, primary, &[100, 1000, 2000]);
        assert_eq!(role(100, 1000, 100), GroupRole::Primary, "`users`");
        assert_eq!(role(1000, 1000, 1000), GroupRole::PrivatePrimary);
        assert_eq!(role(2000, 1000, 100), GroupRole::Supplementary);
        assert_eq!(role(1000, 1000, 100), GroupRole::Supplementary);
        assert_eq!(role(3000, 1000, 100), GroupRole::Foreign);
    }

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
        assert_eq!(read(&path).unwrap(), "x", "the group is the process's");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
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
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        add(&link).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("xx", 0o644));
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
