//! What a program with a gateway in it can do besides serving.

use std::io;

use faceline_shared::settings::Settings;

use crate::accounts::{KeysCommand, KeysCommandError};
use crate::signing::{SigningCommand, SigningCommandError};
use crate::usage::{UsageCommand, UsageCommandError};

/// A command of the command line.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Keys of clients
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Keys that sign answers
    #[command(subcommand)]
    Signing(SigningCommand),
    /// What clients were given
    #[command(subcommand)]
    Usage(UsageCommand),
}

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// `keys …`
    #[error(transparent)]
    Keys(#[from] KeysCommandError),
    /// `signing …`
    #[error(transparent)]
    Signing(#[from] SigningCommandError),
    /// `usage …`
    #[error(transparent)]
    Usage(#[from] UsageCommandError),
}

/// Does what `command` asks for and prints what comes of it.
///
/// # Errors
/// What the command failed with.
pub fn execute(command: Command, config: &Settings) -> Result<(), CommandError> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Keys(keys) => keys.run(config, &mut io::stdin().lock(), out)?,
        Command::Signing(signing) => signing.run(config, out)?,
        Command::Usage(usage) => usage.run(config, &mut io::BufWriter::new(out))?,
    }
    Ok(())
}
