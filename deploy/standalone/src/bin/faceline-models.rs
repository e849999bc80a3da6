//! Fetches, checks and evaluates models.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use faceline::tool::Command;
use faceline_shared::settings::{EXIT_BAD_SETTINGS, SettingsError};

fn main() -> ExitCode {
    Command::parse().run().unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "faceline-models: {error:#}");
        if error.is::<SettingsError>() { ExitCode::from(EXIT_BAD_SETTINGS) } else { ExitCode::FAILURE }
    })
}
