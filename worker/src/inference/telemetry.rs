//! Disables the telemetry of ONNX Runtime.
//!
//! From 1.29 on, the library of the published packages collects events about its host, its process and its models on Linux, stores them
//! in `~/.cache/Microsoft`, and sends them to `mobile.events.data.microsoft.com`. Its API switches that off only after the first events
//! are stored, and does not keep it from connecting. The variable `ORT_DISABLE_TELEMETRY` does, if it is set before the library is loaded.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Executes this program again in the same process with the variable in its environment, unless it is there already.
///
/// A process cannot change its own environment safely once it may have threads, and the library reads it with `getenv`. Programs that
/// load ONNX Runtime call this first. An exit code means that it failed: then the program must end.
#[must_use]
pub fn disable_telemetry() -> Option<ExitCode> {
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "1") {
        return None;
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let error = match std::env::current_exe() {
        Ok(program) => Command::new(program).arg0(name).args(arguments).env(VARIABLE, "1").exec(),
        Err(error) => error,
    };
    let _ = writeln!(std::io::stderr(), "the program cannot be started with {VARIABLE}=1: {error}");
    Some(ExitCode::FAILURE)
}
