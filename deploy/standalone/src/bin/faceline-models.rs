//! Fetches, checks and evaluates models.

use std::process::ExitCode;

use clap::Parser as _;
use faceline::tool::Command;

fn main() -> anyhow::Result<ExitCode> {
    Command::parse().run()
}
