//! Load generation and benchmarks of Faceline.

mod bare;
mod bench;
mod closed_loop;
mod picture;
mod procfs;
mod scaling_command;
mod site;

use clap::Parser;
use faceline_loadtest::capture::CaptureCommand;
use faceline_loadtest::chaos::ChaosCommand;
use faceline_loadtest::load::{LoadCommand, OverloadCommand};

/// Load tests and benchmarks of Faceline
#[derive(Debug, Parser)]
#[command(name = "faceline-loadtest", version)]
enum Command {
    /// Serve a bare axum route until standard input closes, for `bench gateway`
    #[command(hide = true)]
    BareRoute,
    /// Run benchmarks of pipeline and service, as ratios of two measurements of one run
    Bench(bench::Bench),
    /// Send a video file through a complete replay, and print the replay's status
    Capture(CaptureCommand),
    /// Inject faults into an installation under load, and check the outcome of every request
    Chaos(ChaosCommand),
    /// Send requests on a fixed schedule, and check the outcome of each
    Load(LoadCommand),
    /// Measure the peak throughput, then send one, two and three times as much, and a burst to the idle service
    Overload(OverloadCommand),
    /// Measure this machine and simulate autoscaling
    #[command(subcommand)]
    Scaling(scaling_command::Scaling),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::BareRoute => bench::serve_bare_route().await,
        Command::Bench(bench) => bench.run().await,
        Command::Capture(capture) => capture.run().await,
        Command::Chaos(chaos) => chaos.run().await,
        Command::Load(load) => load.run().await,
        Command::Overload(overload) => overload.run().await,
        Command::Scaling(scaling) => scaling.run().await,
    }
}
