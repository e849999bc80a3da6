//! File operations of a store in its folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Maximum number of attempts of a write whose folder is deleted meanwhile.
const MAX_WRITE_ATTEMPTS: usize = 16;

/// Creates `root` with its parents, durably.
pub(super) fn create_durably(root: &Path) -> io::Result<()> {
    if !root.is_dir() {
        fs::create_dir_all(root)?;
        for folder in root.ancestors().skip(1) {
            // This process may lack permission to open the folders further up, which have existed for long.
            let _ = sync(folder);
        }
    }
    Ok(())
}

/// A path for a partial file: no key has a `~`.
pub(super) fn partial_path(folder: &Path) -> PathBuf {
    folder.join(format!("~{}", uuid::Uuid::new_v4()))
}

/// Repeats `write` if its folder is deleted meanwhile: a deletion removes the folders that it leaves empty.
pub(super) fn unless_deleted<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..MAX_WRITE_ATTEMPTS {
        match write() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            written => return written,
        }
    }
    write()
}

/// Creates the partial file of an object at `path`. It is in the object's folder, so it is deleted together with the objects
/// beside it.
pub(super) fn create_partial(root: &Path, path: &Path) -> io::Result<(File, PathBuf)> {
    create_durably(root)?;
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    let partial = partial_path(folder);
    Ok((File::create_new(&partial)?, partial))
}

/// Makes a partial file the object at `path`, durably.
pub(super) fn publish(root: &Path, file: &File, partial: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(partial, path)?;
    // The folder and its parents may be new.
    let folder = path.parent().unwrap_or(root);
    folder.ancestors().take_while(|folder| folder.starts_with(root)).try_for_each(sync)
}

/// Removes a partial file, and the folders that were made for it.
pub(super) fn discard(root: &Path, partial: &Path) {
    // Both fail if somebody else has deleted the folder.
    let _ = fs::remove_file(partial);
    let _ = remove_empty_parents(root, partial);
}

/// The entries of a folder without partial files.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<(String, fs::DirEntry)>> {
    let Some(entries) = if_exists(fs::read_dir(folder))? else { return Ok(vec![]) };
    let named =
        entries.map(|entry| entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry)));
    named.filter(|named| !named.as_ref().is_ok_and(|(name, _)| name.starts_with('~'))).collect()
}

/// Adds the keys of all objects below `folder`, whose own key is `prefix`.
pub(super) fn collect_keys(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
    for (name, entry) in entries(folder)? {
        let key = format!("{prefix}/{name}");
        if entry.file_type()?.is_dir() {
            collect_keys(&entry.path(), &key, keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

/// Removes everything below `folder`, and returns the number of objects.
pub(super) fn clear(folder: &Path) -> io::Result<usize> {
    let Some(entries) = if_exists(fs::read_dir(folder))? else {
        return Ok(0);
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += clear(&entry.path())?;
        } else if if_exists(fs::remove_file(entry.path()))?.is_some()
            && !entry.file_name().as_encoded_bytes().starts_with(b"~")
        {
            count += 1;
        }
    }
    // Fails if another process has just put an object there; then the folder stays.
    let _ = fs::remove_dir(folder);
    Ok(count)
}

/// Removes the empty folders above `path`, and makes the removal durable.
pub(super) fn remove_empty_parents(root: &Path, path: &Path) -> io::Result<()> {
    let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    let left = folders.find(|folder| *folder == root || fs::remove_dir(folder).is_err());
    left.map_or(Ok(()), |folder| if_exists(sync(folder)).map(|_| ()))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Turns "not found" into `None`, including a path below a file.
pub(super) fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
