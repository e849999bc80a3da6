//! An upload into a folder: a partial file that becomes the object.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

use super::files;
use super::run::blocking;
use crate::object::error::ObjectError;
use crate::object::store::ObjectUpload;

/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;
/// Bytes between two syncs to the disk, so the last sync takes no longer than the others.
const SYNC_BYTES: usize = 32 << 20;

/// A partial file, which is removed when this is dropped unless it has become the object.
struct PartialFile {
    root: PathBuf,
    /// Path of the object.
    path: PathBuf,
    partial: PathBuf,
    file: File,
    is_published: AtomicBool,
}

impl PartialFile {
    fn publish(&self) -> io::Result<()> {
        files::publish(&self.root, &self.file, &self.partial, &self.path)?;
        self.is_published.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if self.is_published.load(Ordering::Relaxed) {
            return;
        }
        let (root, partial) = (mem::take(&mut self.root), mem::take(&mut self.partial));
        let discard = move || files::discard(&root, &partial);
        match Handle::try_current() {
            // The disk may be slow, and nobody waits for this.
            Ok(runtime) => drop(runtime.spawn_blocking(discard)),
            Err(_) => discard(),
        }
    }
}

pub(super) struct FolderUpload {
    /// Disk operations share it, because they continue when nobody waits for them any more.
    target: Arc<PartialFile>,
    buffer: BytesMut,
    unsynced_bytes: usize,
    /// Whether a write has failed. The content of the file is unknown then.
    has_failed: bool,
}

impl FolderUpload {
    pub(super) fn begin(root: PathBuf, path: PathBuf) -> io::Result<Self> {
        let (file, partial) = files::create_partial(&root, &path)?;
        let target =
            Arc::new(PartialFile { root, path, partial, file, is_published: AtomicBool::new(false) });
        Ok(Self { target, buffer: BytesMut::new(), unsynced_bytes: 0, has_failed: false })
    }

    /// Writes the content of the buffer.
    async fn flush(&mut self) -> Result<(), ObjectError> {
        // Reset below. It stays set if the write fails, or if this future is dropped.
        if mem::replace(&mut self.has_failed, true) {
            return Err(ObjectError::Unreachable(
                "an earlier part of the object could not be written".into(),
            ));
        }
        let (target, bytes) = (Arc::clone(&self.target), self.buffer.split());
        self.unsynced_bytes += bytes.len();
        let must_sync = self.unsynced_bytes >= SYNC_BYTES;
        blocking(move || {
            (&target.file).write_all(&bytes)?;
            if must_sync { target.file.sync_data() } else { Ok(()) }
        })
        .await?;
        if must_sync {
            self.unsynced_bytes = 0;
        }
        self.has_failed = false;
        Ok(())
    }
}

#[async_trait]
impl ObjectUpload for FolderUpload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), ObjectError> {
        while !bytes.is_empty() {
            let missing = WRITE_BYTES - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
            if self.buffer.len() == WRITE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), ObjectError> {
        self.flush().await?;
        let target = Arc::clone(&self.target);
        blocking(move || target.publish()).await
    }
}
