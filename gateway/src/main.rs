//! The gateway as a program of its own, for installations with several processes.

use std::net::SocketAddr;
use std::process::ExitCode;

use faceline_shared::program::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "faceline-gateway",
        about: "Accepts requests, limits them, and passes them to workers through the broker",
        admin: SocketAddr::from(([127, 0, 0, 1], 9090)),
    };
    program.run_or(faceline_gateway::command::execute, faceline_gateway::run)
}
