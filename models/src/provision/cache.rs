//! The cache directory: it has one writer at a time, and only complete files.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use tempfile::TempDir;

use super::error::ProvisionError;
use super::progress::{Event, Progress};

/// Prefix of the names of working directories.
const WORKING: &str = ".fetch-";

/// A locked cache directory: no other process writes to it.
pub(super) struct Cache<'a> {
    dir: &'a Path,
    /// The kernel releases the lock when the process ends for any reason.
    _lock: File,
}

impl<'a> Cache<'a> {
    /// Waits until no other fetch uses `dir`, locks it, and removes working directories of killed fetches.
    pub(super) fn lock(dir: &'a Path, progress: &dyn Progress) -> Result<Self, ProvisionError> {
        let path = dir.join(".lock");
        let open = || -> io::Result<File> {
            std::fs::create_dir_all(dir)?;
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    progress.report(Event::Waiting);
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(file)
        };
        let lock = open().map_err(|error| ProvisionError::io(&path, error))?;
        let cache = Self { dir, _lock: lock };
        // A client that outlived its fetch may still be writing there. In that case the next run removes the directory.
        if let Err(error) = cache.clear() {
            tracing::warn!(%error, dir = %dir.display(), "cannot clear away what an interrupted fetch left");
        }
        Ok(cache)
    }

    fn clear(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(WORKING) && entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// A directory on the same file system, removed when dropped.
    pub(super) fn working_dir(&self) -> Result<TempDir, ProvisionError> {
        tempfile::Builder::new()
            .prefix(WORKING)
            .tempdir_in(self.dir)
            .map_err(|error| ProvisionError::io(self.dir, error))
    }

    /// Moves a complete file to its place, durably and atomically.
    pub(super) fn install(&self, file: &Path, target: &Path) -> Result<(), ProvisionError> {
        let target = self.dir.join(target);
        let parent = target.parent().unwrap_or(self.dir);
        let rename = || -> io::Result<()> {
            std::fs::create_dir_all(parent)?;
            File::open(file)?.sync_all()?;
            std::fs::rename(file, &target)?;
            File::open(parent)?.sync_all()
        };
        rename().map_err(|error| ProvisionError::io(&target, error))
    }

    /// Replaces a small file, durably.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), ProvisionError> {
        let working = self.working_dir()?;
        let file = working.path().join(name);
        File::create(&file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| ProvisionError::io(&file, error))?;
        self.install(&file, Path::new(name))
    }
}
