//! The errors of loading accounts.

use std::io;
use std::path::PathBuf;

/// The reason why there are no accounts.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The file cannot be read.
    #[error("accounts file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not of the right form, or a sealed key in it does not open.
    #[error("accounts file {path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The listener can be reached from other machines, and everybody could use the demo account.
    #[error("the demo account is for a loopback listener only; name an accounts file")]
    DemoInTheOpen,
    /// The demo account cannot be made.
    #[error("the demo account: {0}")]
    Demo(String),
}
