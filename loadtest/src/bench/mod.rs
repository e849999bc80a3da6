//! Benchmarks. Machines differ and are shared, so every figure to compare is a ratio of two measurements of one run.

mod bare_route;
mod gateway;
mod liveness;
mod memory;
mod operations;
mod overload;
mod peers;
mod pipeline;
pub(crate) mod sessions;
mod targets;
mod throughput;
mod workers;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::builder::RangedU64ValueParser;
use faceline_shared::settings::Settings;
use tempfile::TempDir;

pub(crate) use self::bare_route::serve as serve_bare_route;
use self::targets::{LARGE, SMALL, TargetCheck};
use crate::closed_loop::{self, LoadTotals, Request};
use crate::picture;
use crate::site::{Figures, Site, ms_per_job};

/// A benchmark.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Benchmark {
    /// Bare pipeline: cost of decoding relative to the decoder alone, and savings of the converted graphs
    Pipeline,
    /// CPU time of a job in all processes, relative to the bare pipeline
    Throughput,
    /// CPU time of a job in the gateway, relative to a request to a bare axum route
    Gateway,
    /// CPU time of comparisons and of Face Liveness, relative to the bare pipeline
    Operations,
    /// CPU time of liveness detection on one picture and on two, relative to the bare pipeline
    Liveness,
    /// Throughput with one worker and with two
    Workers,
    /// Memory of gateway and worker from the 2,000th to the 20,000th job
    Memory,
    /// CPU time of reading a session with fifty faces
    Sessions,
    /// Overload: one, two and three times the peak throughput
    Overload,
    /// Throughput compared with mosec, and with FastAPI and Celery
    Peers,
}

/// Arguments of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Benchmarks to run [default: all]
    #[arg(value_enum)]
    benchmarks: Vec<Benchmark>,
    /// Portrait that the pictures are made from [default: one of the installed pictures]
    #[arg(long, value_name = "FILE")]
    portrait: Option<PathBuf>,
    /// Number of concurrent callers
    #[arg(long, default_value_t = 12, value_parser = at_least_one())]
    callers: usize,
    /// Number of rounds. The compared measurements alternate, and the median is shown
    #[arg(long, default_value_t = 3, value_parser = at_least_one())]
    rounds: usize,
    /// Length of each load, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Exit with an error if a figure misses its target
    #[arg(long)]
    check: bool,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// A picture that is sent. The small one shows the overhead of a job, the large one the cost of bytes.
pub(crate) struct Sample {
    name: &'static str,
    pub(crate) bytes: Bytes,
    file: PathBuf,
    /// Number of jobs that take some seconds in all.
    jobs: usize,
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let portrait = self
            .portrait
            .clone()
            .unwrap_or_else(|| Settings::default().models.dir.join("pictures").join("obama.jpg"));
        let folder = TempDir::new()?;
        let small = Sample::make(&portrait, folder.path(), SMALL, (250, 250), 1500)?;
        let large = Sample::make(&portrait, folder.path(), LARGE, (4000, 3000), 300)?;
        // A second small picture, for operations on two.
        let other = Sample::make(&portrait, folder.path(), "240 x 260", (240, 260), 0)?;
        let (callers, rounds) = (self.callers, self.rounds);
        let mut targets = TargetCheck::default();
        let wanted = |benchmark| self.benchmarks.is_empty() || self.benchmarks.contains(&benchmark);
        writeln!(std::io::stdout(), "{callers} callers, {rounds} rounds")?;
        if wanted(Benchmark::Pipeline) {
            pipeline::run(&small, &large, rounds, &mut targets).await?;
        }
        if wanted(Benchmark::Throughput) {
            throughput::run(&[&small, &large], callers, rounds, &mut targets).await?;
        }
        if wanted(Benchmark::Gateway) {
            gateway::run(&[&small, &large], callers, rounds).await?;
        }
        if wanted(Benchmark::Operations) {
            operations::run([&small, &other], callers, rounds).await?;
        }
        if wanted(Benchmark::Liveness) {
            liveness::run([&small, &other], callers, rounds).await?;
        }
        if wanted(Benchmark::Workers) {
            workers::run(&small, callers, rounds).await?;
        }
        if wanted(Benchmark::Memory) {
            memory::run(&small, callers, &mut targets).await?;
        }
        if wanted(Benchmark::Sessions) {
            sessions::run(&small, callers).await?;
        }
        if wanted(Benchmark::Overload) {
            overload::run(&small, callers, self.seconds, &mut targets).await?;
        }
        if wanted(Benchmark::Peers) {
            peers::run(&[&small, &large], callers, rounds, &mut targets).await?;
        }
        if self.check { targets.conclude() } else { Ok(()) }
    }
}

impl Sample {
    pub(crate) fn make(
        portrait: &Path,
        folder: &Path,
        name: &'static str,
        (width, height): (u32, u32),
        jobs: usize,
    ) -> anyhow::Result<Self> {
        let bytes = picture::portrait(portrait, width, height)?;
        let file = folder.join(format!("{width}.jpg"));
        std::fs::write(&file, &bytes)?;
        Ok(Self { name, bytes, file, jobs })
    }

    /// Warms up the service at `url` with a fifth of the jobs. Returns the request that they consist of.
    async fn warm_up(&self, url: &str, callers: usize) -> anyhow::Result<Request> {
        let request = Request::new(url, &self.bytes)?;
        closed_loop::closed(&request, callers, self.jobs / 5).await?;
        Ok(request)
    }
}

/// Runs a closed loop. Returns its totals and the CPU time of each process, in milliseconds per job.
async fn measure(
    site: &Site,
    request: &Request,
    callers: usize,
    jobs: usize,
) -> anyhow::Result<(LoadTotals, Figures)> {
    let before = site.cpu_seconds()?;
    let done = closed_loop::closed(request, callers, jobs).await?;
    let used = ms_per_job(&before, &site.cpu_seconds()?, done.jobs);
    Ok((done, used))
}

/// The median of at least one value: of an even number, the mean of the two middle ones.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_two() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
    }

    #[test]
    fn rounds_callers_and_seconds_are_at_least_one() {
        let command = || Bench::augment_args(Command::new("bench"));
        for flag in ["--rounds", "--callers", "--seconds"] {
            assert!(command().try_get_matches_from(["bench", flag, "0"]).is_err(), "{flag}");
            assert!(command().try_get_matches_from(["bench", flag, "1"]).is_ok(), "{flag}");
        }
    }
}
