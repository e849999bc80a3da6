//! Objects as files in a folder.
//!
//! The `object_store` crate has a local folder too, but after a crash it leaves partial files that neither its lists nor its
//! deletions find, and it does not make deletions durable.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::key::checked_key;
use super::store::{ObjectError, ObjectStore};

/// Time limit of an operation; the folder may be on another machine.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts of a write. A deletion removes the folders that it leaves empty, perhaps one that a write has just created.
const MAX_WRITE_ATTEMPTS: usize = 16;

/// Objects in a folder, which gateways may share. No key may be the folder of another key.
pub struct FolderObjects {
    root: PathBuf,
}

impl FolderObjects {
    /// A store in `root`, which is created when it is needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &str,
        operation: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let (root, path) = (self.root.clone(), self.root.join(checked_key(key)?));
        let running = tokio::task::spawn_blocking(move || operation(&root, &path));
        let unreachable = |text: String| ObjectError::Unreachable(text);
        match tokio::time::timeout(OPERATION_TIMEOUT, running).await {
            Err(_) => Err(unreachable(format!("no answer within {} s", OPERATION_TIMEOUT.as_secs()))),
            Ok(Err(panicked)) => Err(unreachable(panicked.to_string())),
            Ok(Ok(done)) => done.map_err(|error| unreachable(error.to_string())),
        }
    }
}

#[async_trait]
impl ObjectStore for FolderObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.run(key, move |root, path| put(root, path, &bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.run(key, |_, path| if_exists(fs::read(path).map(Bytes::from))).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.run(key, |root, path| {
            if if_exists(fs::remove_file(path))?.is_some() {
                remove_empty_parents(root, path)?;
            }
            Ok(())
        })
        .await
    }

    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError> {
        self.run(prefix, |root, path| {
            let count = clear(path)?;
            remove_empty_parents(root, path)?;
            Ok(count)
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let below = prefix.to_owned();
        self.run(prefix, move |_, path| {
            let mut keys = Vec::new();
            collect_keys(path, &below, &mut keys)?;
            keys.sort_unstable();
            Ok(keys)
        })
        .await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.run(prefix, |_, path| {
            let mut names = Vec::new();
            for (name, entry) in entries(path)? {
                if entry.file_type()?.is_dir() {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    async fn check(&self) -> Result<(), ObjectError> {
        // Creates an empty file and removes it: a full disk is no reason to fail the check.
        self.run("check", |root, _| {
            create_durably(root)?;
            let partial = partial_path(root);
            File::create_new(&partial)?;
            fs::remove_file(partial)
        })
        .await
    }
}

/// Creates `root` with its parents, durably.
fn create_durably(root: &Path) -> io::Result<()> {
    if !root.is_dir() {
        fs::create_dir_all(root)?;
        for folder in root.ancestors().skip(1) {
            // This process may not be allowed to open the folders further up, which have existed for long.
            let _ = sync(folder);
        }
    }
    Ok(())
}

/// A path for a partial file: no key has a `~`.
fn partial_path(folder: &Path) -> PathBuf {
    folder.join(format!("~{}", uuid::Uuid::new_v4()))
}

fn put(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    create_durably(root)?;
    for _ in 0..MAX_WRITE_ATTEMPTS {
        fs::create_dir_all(folder)?;
        // In the same folder, so a partial file is deleted together with the objects beside it.
        let partial = partial_path(folder);
        let written = File::create_new(&partial).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&partial, path)
        });
        match written {
            // The folder and its parents may be new.
            Ok(()) => {
                return folder.ancestors().take_while(|folder| folder.starts_with(root)).try_for_each(sync);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let _ = fs::remove_file(partial);
                return Err(error);
            }
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// The entries of a folder without partial files.
fn entries(folder: &Path) -> io::Result<Vec<(String, fs::DirEntry)>> {
    let Some(entries) = if_exists(fs::read_dir(folder))? else { return Ok(vec![]) };
    let named =
        entries.map(|entry| entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry)));
    named.filter(|named| !named.as_ref().is_ok_and(|(name, _)| name.starts_with('~'))).collect()
}

/// Adds the keys of all objects below `folder`, whose own key is `prefix`.
fn collect_keys(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
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
fn clear(folder: &Path) -> io::Result<usize> {
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
fn remove_empty_parents(root: &Path, path: &Path) -> io::Result<()> {
    let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    let left = folders.find(|folder| *folder == root || fs::remove_dir(folder).is_err());
    left.map_or(Ok(()), |folder| if_exists(sync(folder)).map(|_| ()))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Turns "not found" into `None`, including a path below a file.
fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
