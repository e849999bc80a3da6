//! What a program with a gateway in it can do besides serving.

use std::io;

use faceline_shared::config::Config;

use crate::signing::{SigningCommand, SigningCommandError};
use crate::usage::{UsageCommand, UsageCommandError};

/// A command of the command line.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
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
    /// One about keys that sign answers.
    #[error(transparent)]
    Signing(#[from] SigningCommandError),
    /// One about usage.
    #[error(transparent)]
    Usage(#[from] UsageCommandError),
}

/// Does what `command` asks for and prints what comes of it.
///
/// # Errors
/// What the command failed with.
pub fn execute(command: Command, config: &Config) -> Result<(), CommandError> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Signing(signing) => Ok(signing.run(config, out)?),
        Command::Usage(usage) => Ok(usage.run(config, &mut io::BufWriter::new(out))?),
    }
}
