//! A small file system that can be filled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

/// Size of the file system. A site stores less than a tenth of it in ten minutes.
const MIB: usize = 256;
/// Name of the file that takes all free space.
const FILLER: &str = "filler";

/// A file system in memory (tmpfs) with a folder of its own. Dropping it unmounts it.
pub(super) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts the file system, which requires root.
    ///
    /// # Errors
    /// It cannot be mounted, usually for lack of rights.
    pub(super) fn mount() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("faceline-disk-").tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={MIB}m"), "faceline-chaos"])
            .arg(folder.path())
            .output()
            .context("mount")?;
        let error = String::from_utf8_lossy(&mounted.stderr);
        anyhow::ensure!(mounted.status.success(), "cannot mount a tmpfs: {}", error.trim());
        Ok(Self { folder })
    }

    /// The mount point.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it to the last byte.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let written = fs::write(self.filler(), vec![0; MIB << 20]);
        anyhow::ensure!(written.is_err(), "the file system is larger than {MIB} MiB");
        Ok(())
    }

    /// Frees the space again.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.path().join(FILLER)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // An error has no consequence in a drop. Open files do not keep the file system mounted.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}
