//! Verifying and listing an installation.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::checksum;
use super::error::ProvisionError;
use crate::installed::{model_path, picture_path, runtime_path};
use crate::manifest::{Manifest, Member, Profile};
use crate::repository::read_record;

/// A fault of an installed file. Paths are relative to the cache directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The file is missing.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file was changed after its installation.
    Altered {
        /// The file.
        path: PathBuf,
        /// SHA-256 of the file as installed.
        expected: String,
        /// SHA-256 of the file as found.
        actual: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "{} is missing", path.display()),
            Self::Unreadable { path, reason } => write!(f, "{} cannot be read: {reason}", path.display()),
            Self::Altered { path, expected, actual } => {
                write!(f, "{} was altered: expected SHA-256 {expected}, found {actual}", path.display())
            }
        }
    }
}

/// Reads every file of the installation in `dir` and compares its SHA-256. Returns all faults.
///
/// # Errors
/// No models are installed, or the record cannot be used.
pub fn verify(dir: &Path) -> Result<Vec<Fault>, ProvisionError> {
    let installed = read_record(dir)?;
    let faults = installed.files.into_iter().map(|(path, record)| (path, record.sha256)).filter_map(
        |(path, expected)| match checksum::of_file(&dir.join(&path)) {
            Ok(found) if found.sha256 == expected => None,
            Ok(found) => Some(Fault::Altered { path, expected, actual: found.sha256 }),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(Fault::Missing { path }),
            Err(error) => Some(Fault::Unreadable { path, reason: error.to_string() }),
        },
    );
    Ok(faults.collect())
}

/// One file of a manifest.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Relative to the cache directory.
    pub path: PathBuf,
    /// The smallest profile that installs the file.
    pub profile: Profile,
    /// The package's name and version.
    pub package: String,
    /// The licence that the package declares.
    pub license: String,
    /// The package's publisher.
    pub origin: String,
    /// Size in bytes, if the file is installed.
    pub bytes: Option<u64>,
}

/// The files of `manifest`, the runtime first, with their sizes in the cache `dir`. No file is read.
#[must_use]
pub fn list(dir: &Path, manifest: &Manifest) -> Vec<Entry> {
    let entry = |path: PathBuf, profile: Profile, member: &Member| {
        let package = manifest.packages.get(&member.package)?;
        let bytes =
            std::fs::metadata(dir.join(&path)).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        Some(Entry {
            path,
            profile,
            package: format!("{} {}", package.name, package.version),
            license: package.license.clone(),
            origin: package.origin.clone(),
            bytes,
        })
    };
    let runtime = entry(runtime_path(manifest), Profile::Default, &manifest.runtime.member);
    let models =
        manifest.models.iter().filter_map(|model| entry(model_path(model), model.profile, &model.source));
    let pictures = manifest
        .pictures
        .iter()
        .filter_map(|(name, member)| entry(picture_path(name), Profile::Default, member));
    runtime.into_iter().chain(models).chain(pictures).collect()
}
