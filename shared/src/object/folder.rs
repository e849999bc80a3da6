//! Objects as files of a folder.
//!
//! By hand, since the `object_store` crate's folder leaves a write that was cut off behind where neither its lists nor its
//! deletions see it, and does not make deletions durable.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{ObjectError, ObjectStore, checked};

/// A folder may be on another machine.
const LIMIT: Duration = Duration::from_secs(15);
/// Deletions take the folders that they leave empty, perhaps under a write's feet.
const ATTEMPTS: usize = 16;

/// A folder that may be shared by all gateways. No key may be a folder of another one.
pub struct FolderObjects {
    root: PathBuf,
}

impl FolderObjects {
    /// A store in `root`, which is made when it is needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &str,
        operation: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let (root, path) = (self.root.clone(), self.root.join(checked(key)?));
        let running = tokio::task::spawn_blocking(move || operation(&root, &path));
        let unreachable = |text: String| ObjectError::Unreachable(text);
        match tokio::time::timeout(LIMIT, running).await {
            Err(_) => Err(unreachable(format!("no answer within {} s", LIMIT.as_secs()))),
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
        self.run(key, |_, path| if_there(fs::read(path).map(Bytes::from))).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.run(key, |root, path| {
            if if_there(fs::remove_file(path))?.is_some() {
                close_up(root, path)?;
            }
            Ok(())
        })
        .await
    }

    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError> {
        self.run(prefix, |root, path| {
            let count = clear(path)?;
            close_up(root, path)?;
            Ok(count)
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let below = prefix.to_owned();
        self.run(prefix, move |_, path| {
            let mut keys = Vec::new();
            find(path, &below, &mut keys)?;
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
        // The bytes of a picture matter more than those of the check, so nothing is written but a name.
        self.run("check", |root, _| {
            make(root)?;
            let partial = partial(root);
            File::create_new(&partial)?;
            fs::remove_file(partial)
        })
        .await
    }
}

fn make(root: &Path) -> io::Result<()> {
    if !root.is_dir() {
        fs::create_dir_all(root)?;
        for folder in root.ancestors().skip(1) {
            // Those further up may not be ours to open, and have been there for long.
            let _ = sync(folder);
        }
    }
    Ok(())
}

/// A name that no key has.
fn partial(folder: &Path) -> PathBuf {
    folder.join(format!("~{}", uuid::Uuid::new_v4()))
}

fn put(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    make(root)?;
    for _ in 0..ATTEMPTS {
        fs::create_dir_all(folder)?;
        // In the same folder, so that a write that is cut off goes with its neighbours.
        let partial = partial(folder);
        let written = File::create_new(&partial).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&partial, path)
        });
        match written {
            // The folder may be new, and its folder too.
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

/// What is in a folder, without writes that are under way or were cut off.
fn entries(folder: &Path) -> io::Result<Vec<(String, fs::DirEntry)>> {
    let Some(entries) = if_there(fs::read_dir(folder))? else { return Ok(vec![]) };
    let named =
        entries.map(|entry| entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry)));
    named.filter(|named| !named.as_ref().is_ok_and(|(name, _)| name.starts_with('~'))).collect()
}

/// Adds the keys of all objects in `folder`, whose own key is `prefix`.
fn find(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
    for (name, entry) in entries(folder)? {
        let key = format!("{prefix}/{name}");
        if entry.file_type()?.is_dir() {
            find(&entry.path(), &key, keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

/// Removes everything below `folder`; the number of objects that there were.
fn clear(folder: &Path) -> io::Result<usize> {
    let Some(entries) = if_there(fs::read_dir(folder))? else {
        return Ok(0);
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += clear(&entry.path())?;
        } else if if_there(fs::remove_file(entry.path()))?.is_some()
            && !entry.file_name().as_encoded_bytes().starts_with(b"~")
        {
            count += 1;
        }
    }
    // It stays where somebody has just put an object there.
    let _ = fs::remove_dir(folder);
    Ok(count)
}

/// Takes away the empty folders above `path`, and makes durable that it is gone.
fn close_up(root: &Path, path: &Path) -> io::Result<()> {
    let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    let left = folders.find(|folder| *folder == root || fs::remove_dir(folder).is_err());
    left.map_or(Ok(()), |folder| if_there(sync(folder)).map(|_| ()))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// `None` for what is not there, also where a file stands in the place of its folder.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
