//! The errors of `faceline keys`.

use std::io;
use std::path::PathBuf;

use faceline_shared::keys::KeysError;
use faceline_shared::seal::SealError;
use faceline_shared::secret_file::SecretFileError;

use crate::accounts::edit::EditError;
use crate::accounts::error::AccountsError;

/// The reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum KeysCommandError {
    /// The settings name no accounts file.
    #[error(
        "there is no accounts file in the settings, only the demo account; name one, as in \
         --set accounts.file=/etc/faceline/accounts.toml (it is made with the first key)"
    )]
    NoFile,
    /// The file cannot be read or written.
    #[error("accounts file {0}")]
    File(#[from] SecretFileError),
    /// The file is not of the right form, or would not be after the change.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The file cannot be edited.
    #[error("accounts file {path}: {source}")]
    Edit {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: EditError,
    },
    /// There is no such key.
    #[error("there is no key `{0}`; `faceline keys list` shows those that there are")]
    NoKey(String),
    /// There is no such client.
    #[error("there is no client `{0}`; `faceline keys list` shows those that have keys")]
    NoClient(String),
    /// A user has only one password, so a rotation needs a new user.
    #[error("the user `{0}` has one password; name a new user for the new one with --user")]
    SameUser(String),
    /// A flag belongs to another kind of credential.
    #[error("{0} is of another kind of key")]
    OtherKind(&'static str),
    /// The secret from the standard input cannot be used.
    #[error("the secret: {0}")]
    Secret(&'static str),
    /// The data keys, which seal BWS keys, cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A BWS key cannot be sealed, or the system has no random numbers.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Standard input or output fails.
    #[error("standard input or output: {0}")]
    Io(#[from] io::Error),
}
