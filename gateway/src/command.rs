//! What a program with a gateway in it can do besides serving.

use std::io;

use faceline_shared::config::Config;

use crate::signing::{SigningCommand, SigningCommandError};

/// A command of the command line.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Command {
    /// Keys that sign answers
    #[command(subcommand)]
    Signing(SigningCommand),
}

/// Does what `command` asks for and prints what comes of it.
///
/// # Errors
/// What the command failed with.
pub fn execute(command: Command, config: &Config) -> Result<(), SigningCommandError> {
    match command {
        Command::Signing(signing) => signing.run(config, &mut io::stdout().lock()),
    }
}
