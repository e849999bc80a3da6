//! The commands of the program: those of a gateway, and those that inspect an installation.

use std::process::ExitCode;

use faceline_shared::program::Program;
use faceline_shared::settings::{Settings, SettingsError, Sources};

use crate::doctor::{self, DoctorArguments};
use crate::queue::{self, QueueCommand};

/// A command on the command line.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Gateway(faceline_gateway::command::Command),
    /// Check settings, files, servers, models and this machine, and print a remedy for each fault
    ///
    /// Exit code: 0 if all checks pass, 1 with warnings, 2 with problems, 64 if the settings cannot be read. The
    /// checks create a probe object, a key that expires and a temporary queue on the servers, and remove them; they
    /// change nothing else there.
    Doctor(DoctorArguments),
    /// Inspect the queues between gateways and workers, and their dead letters
    #[command(subcommand)]
    Queue(QueueCommand),
}

/// Executes `command`, and prints its output.
pub(crate) fn execute(
    program: &Program,
    command: Command,
    sources: &Sources,
    settings: Result<Settings, SettingsError>,
) -> ExitCode {
    let done = match (command, settings) {
        (Command::Doctor(arguments), settings) => return doctor::run(&arguments, sources, settings),
        (_, Err(error)) => return program.refuse(&error),
        (Command::Gateway(command), Ok(settings)) => {
            faceline_gateway::command::execute(command, &settings).map_err(|error| error.to_string())
        }
        (Command::Queue(command), Ok(settings)) => {
            queue::run(command, &settings).map_err(|error| error.to_string())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            program.print(&error);
            ExitCode::FAILURE
        }
    }
}
