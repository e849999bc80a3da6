//! A worker that shares broker and blob store with other processes.

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
        name: "faceline-worker",
        about: "Takes jobs from the broker, runs the face models, and returns the results",
        admin: SocketAddr::from(([127, 0, 0, 1], 9091)),
    };
    program.run(faceline_worker::run)
}
