//! Objects as files in a folder.
//!
//! The `object_store` crate has a local folder too, but after a crash it leaves partial files that neither its lists nor its
//! deletions find, and it does not make deletions durable.

mod files;
mod read;
mod run;
mod upload;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use self::files::{clear, collect_keys, entries, if_exists, remove_empty_parents};
use self::upload::FolderUpload;
use super::error::ObjectError;
use super::key::checked_key;
use super::store::{ObjectStore, ObjectUpload};
use super::stream::ObjectStream;

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
        run::blocking(move || operation(&root, &path)).await
    }
}

#[async_trait]
impl ObjectStore for FolderObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.run(key, move |root, path| files::unless_deleted(|| put(root, path, &bytes))).await
    }

    async fn begin_upload(&self, key: &str, _: Option<&str>) -> Result<Box<dyn ObjectUpload>, ObjectError> {
        let upload = self.run(key, |root, path| {
            files::unless_deleted(|| FolderUpload::begin(root.to_owned(), path.to_owned()))
        });
        Ok(Box::new(upload.await?))
    }

    async fn open(&self, key: &str) -> Result<Option<ObjectStream>, ObjectError> {
        let open = self.run(key, |_, path| {
            let Some(file) = if_exists(File::open(path))? else { return Ok(None) };
            let about = file.metadata()?;
            Ok(about.is_file().then(|| (file, about.len())))
        });
        Ok(open.await?.map(|(file, length)| ObjectStream::new(length, read::pieces(file))))
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
            let (_, partial) = files::create_partial(root, &root.join("check"))?;
            fs::remove_file(partial)
        })
        .await
    }
}

fn put(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, partial) = files::create_partial(root, path)?;
    let written = file.write_all(bytes).and_then(|()| files::publish(root, &file, &partial, path));
    if written.is_err() {
        let _ = fs::remove_file(partial);
    }
    written
}
