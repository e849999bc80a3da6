//! Faceline in one process: gateway and worker over the embedded broker and stores. Also the operators' commands, which
//! inspect an installation of any kind.

mod command;
mod doctor;
mod greeting;
mod management;
mod queue;
mod standalone;

use std::net::SocketAddr;
use std::process::ExitCode;

use faceline_shared::program::Program;

fn main() -> ExitCode {
    if let Some(failed) = faceline_worker::video::confine::become_confined() {
        return failed;
    }
    if let Some(failed) = faceline_worker::inference::disable_telemetry() {
        return failed;
    }
    let program = Program {
        name: "faceline",
        about: "Gateway and worker in one process, with embedded broker and stores",
        admin: SocketAddr::from(([127, 0, 0, 1], 9090)),
    };
    program.run_or_command(
        |command, sources, settings| command::execute(&program, command, sources, settings),
        standalone::run,
    )
}
