//! Load generation and benchmarks of Faceline.

mod bare;
mod bench;
mod load;
mod picture;
mod procfs;
mod site;

use clap::Parser;
use faceline_loadtest::capture::CaptureCommand;

/// Put load on Faceline and measure it
#[derive(Debug, Parser)]
#[command(name = "faceline-loadtest", version)]
enum Command {
    /// Benchmarks of pipeline and service, as ratios of what is measured in one run
    Bench(bench::Bench),
    /// Play a video file through the whole flow of a replay, and print its status
    Capture(CaptureCommand),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Bench(bench) => bench.run().await,
        Command::Capture(capture) => capture.run().await,
    }
}
