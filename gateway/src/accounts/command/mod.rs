//! `faceline keys …`.

mod add;
mod change;
mod credential;
mod error;
mod rotate;
mod webhook_secret;

use std::io::{BufRead, Write};

use faceline_shared::settings::Settings;
use time::OffsetDateTime;

pub use self::add::AddKey;
use self::change::{change, edit_error, find, parse};
pub use self::credential::CredentialKind;
pub use self::error::KeysCommandError;
pub use self::rotate::RotateKey;
pub use self::webhook_secret::NewWebhookSecret;
use super::error::AccountsError;
use super::{edit, list};

/// Manage the keys of clients
#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Add a key and show its secret once
    Add(AddKey),
    /// Show all keys without their secrets
    List,
    /// Add the successor of a key and show its secret once. The old key expires after --overlap
    Rotate(RotateKey),
    /// Create a secret that signs the callbacks of a client, and show it once
    WebhookSecret(NewWebhookSecret),
    /// Remove a key. Running gateways refuse it within a second or two
    Revoke {
        /// Id of the key
        key: String,
    },
}

impl KeysCommand {
    /// Executes the command, and writes its output to `out`.
    ///
    /// # Errors
    /// [`KeysCommandError`]. The file is unchanged then, unless the error is that `out` cannot be written.
    pub fn run(
        self,
        settings: &Settings,
        input: &mut impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), KeysCommandError> {
        let path = settings.accounts.file.as_deref().ok_or(KeysCommandError::NoFile)?;
        match self {
            Self::Add(key) => key.run(settings, path, input, out),
            Self::List => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| AccountsError::Io { path: path.to_owned(), source })?;
                Ok(list::write(&parse(path, &text)?, OffsetDateTime::now_utc(), out)?)
            }
            Self::Rotate(key) => key.run(settings, path, out),
            Self::WebhookSecret(secret) => secret.run(settings, path, out),
            Self::Revoke { key } => {
                change(path, |text, entries| {
                    find(entries, &key)?;
                    edit::remove(text.unwrap_or_default(), &key).map_err(|source| edit_error(path, source))
                })?;
                Ok(writeln!(out, "{key} is revoked; running gateways refuse it within a second or two")?)
            }
        }
    }
}
