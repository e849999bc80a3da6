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

/// Put load on Faceline and measure it
#[derive(Debug, Parser)]
#[command(name = "faceline-loadtest", version)]
enum Command {
    /// Serve a bare axum route until standard input closes, for `bench gateway`
    #[command(hide = true)]
    BareRoute,
    /// Benchmarks of pipeline and service, as ratios of what is measured in one run
    Bench(bench::Bench),
    /// Play a video file through the whole flow of a replay, and print its status
    Capture(CaptureCommand),
    /// Faults at a site of real processes under load, and what became of every request
    Chaos(ChaosCommand),
    /// Send requests by a fixed schedule, and check what became of each
    Load(LoadCommand),
    /// Measure the peak, then send one, two and three times as much, and a burst to the idle service
    Overload(OverloadCommand),
    /// Autoscaling: measure this machine, simulate, and write plots and tables
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
