//! The program `faceline-models`: fetches, verifies, evaluates and calibrates the face models.

mod age;
mod age_figures;
mod age_source;
mod bench;
mod bench_liveness;
mod calibrate;
mod calibrate_liveness;
mod coder;
mod command;
mod each;
mod evaluate;
mod faces;
mod figures;
mod group_figures;
mod liveness;
mod pad;
mod report;
mod runner;
mod simulate;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use faceline_shared::settings::{EXIT_BAD_SETTINGS, SettingsError};

use crate::command::Command;

fn main() -> ExitCode {
    // To confine itself, the decoder of videos starts this program again as a child.
    if let Some(failed) = faceline_worker::video::confine::become_confined() {
        return failed;
    }
    if let Some(failed) = faceline_worker::inference::disable_telemetry() {
        return failed;
    }
    Command::parse().run().unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "faceline-models: {error:#}");
        if error.is::<SettingsError>() { ExitCode::from(EXIT_BAD_SETTINGS) } else { ExitCode::FAILURE }
    })
}
