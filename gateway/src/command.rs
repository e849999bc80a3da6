//! Commands of the programs that contain a gateway: `keys`, `replay-keys`, `sealing`, `signing`, `usage` and
//! `callbacks`.

use std::io;

use faceline_shared::settings::Settings;

use crate::accounts::{KeysCommand, KeysCommandError};
use crate::replays::{CallbacksCommand, CallbacksCommandError, ReplayKeysCommand, ReplayKeysCommandError};
use crate::sealing::{SealingCommand, SealingCommandError};
use crate::signing::{SigningCommand, SigningCommandError};
use crate::usage::{UsageCommand, UsageCommandError};

/// A command on the command line.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Manage the keys of clients
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Manage the keys with which devices encrypt uploads of replays
    #[command(subcommand)]
    ReplayKeys(ReplayKeysCommand),
    /// Manage the keys that seal (encrypt) data and templates
    #[command(subcommand)]
    Sealing(SealingCommand),
    /// Manage the keys that sign answers
    #[command(subcommand)]
    Signing(SigningCommand),
    /// Export usage records
    #[command(subcommand)]
    Usage(UsageCommand),
    /// List callbacks to service providers, and send dead letters again
    #[command(subcommand)]
    Callbacks(CallbacksCommand),
}

/// The reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// `keys …` failed.
    #[error(transparent)]
    Keys(#[from] KeysCommandError),
    /// `replay-keys …` failed.
    #[error(transparent)]
    ReplayKeys(#[from] ReplayKeysCommandError),
    /// `sealing …` failed.
    #[error(transparent)]
    Sealing(#[from] SealingCommandError),
    /// `signing …` failed.
    #[error(transparent)]
    Signing(#[from] SigningCommandError),
    /// `usage …` failed.
    #[error(transparent)]
    Usage(#[from] UsageCommandError),
    /// `callbacks …` failed.
    #[error(transparent)]
    Callbacks(#[from] CallbacksCommandError),
}

/// Executes `command`, and prints its output.
///
/// # Errors
/// [`CommandError`].
pub fn execute(command: Command, settings: &Settings) -> Result<(), CommandError> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Keys(keys) => keys.run(settings, &mut io::stdin().lock(), out)?,
        Command::ReplayKeys(keys) => keys.run(settings, out)?,
        Command::Sealing(sealing) => sealing.run(settings, out)?,
        Command::Signing(signing) => signing.run(settings, out)?,
        Command::Usage(usage) => usage.run(settings, &mut io::BufWriter::new(out))?,
        Command::Callbacks(callbacks) => callbacks.run(settings, &mut io::BufWriter::new(out))?,
    }
    Ok(())
}
