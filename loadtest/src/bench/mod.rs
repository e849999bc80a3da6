//! Benchmarks. Machines differ and are shared, so every figure to compare is a ratio of two measurements of one run.

mod liveness;
mod memory;
mod overload;
mod peers;
mod pipeline;
pub(crate) mod sessions;
mod throughput;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use faceline_shared::settings::Settings;
use tempfile::TempDir;

use crate::picture;

/// A benchmark.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Benchmark {
    /// The bare pipeline: the cost of decoding beside the decoder's own, and the savings of the converted graphs
    Pipeline,
    /// CPU time of a job in all processes, over that of the bare pipeline
    Throughput,
    /// CPU time of liveness detection on one picture and on two, over that of the bare pipeline
    Liveness,
    /// Memory of gateway and worker from the 2,000th to the 20,000th job
    Memory,
    /// CPU time of reading a session with fifty faces
    Sessions,
    /// One, two and three times the load that the service can carry
    Overload,
    /// Throughput beside mosec, and beside FastAPI with Celery
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
    /// Callers at the same time
    #[arg(long, default_value_t = 12)]
    callers: usize,
    /// Rounds: the compared measurements alternate, and the median is shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each load
    #[arg(long, default_value_t = 60)]
    seconds: u64,
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
        let small = Sample::make(&portrait, folder.path(), "250 x 250", (250, 250), 1500)?;
        let large = Sample::make(&portrait, folder.path(), "12 megapixels", (4000, 3000), 300)?;
        let wanted = |benchmark| self.benchmarks.is_empty() || self.benchmarks.contains(&benchmark);
        if wanted(Benchmark::Pipeline) {
            pipeline::run(&small, &large, self.rounds).await?;
        }
        if wanted(Benchmark::Throughput) {
            throughput::run(&[&small, &large], self.callers, self.rounds).await?;
        }
        if wanted(Benchmark::Liveness) {
            let other = Sample::make(&portrait, folder.path(), "240 x 260", (240, 260), 0)?;
            liveness::run([&small, &other], self.callers, self.rounds).await?;
        }
        if wanted(Benchmark::Memory) {
            memory::run(&small, self.callers).await?;
        }
        if wanted(Benchmark::Sessions) {
            sessions::run(&small, self.callers).await?;
        }
        if wanted(Benchmark::Overload) {
            overload::run(&small, self.callers, self.seconds).await?;
        }
        if wanted(Benchmark::Peers) {
            peers::run(&[&small, &large], self.callers, self.rounds).await?;
        }
        Ok(())
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
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    }
}
