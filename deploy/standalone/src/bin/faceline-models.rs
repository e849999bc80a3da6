//! Fetches, checks and evaluates models.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use faceline::tool::Command;
use faceline_shared::config::{ConfigError, EXIT_BAD_CONFIG};

fn main() -> ExitCode {
    Command::parse().run().unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "faceline-models: {error:#}");
        if error.is::<ConfigError>() { ExitCode::from(EXIT_BAD_CONFIG) } else { ExitCode::FAILURE }
    })
}
