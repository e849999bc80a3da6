//! `faceline-models bench`: what decoding and models alone cost.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use faceline_shared::config::Config;
use faceline_shared::face::ImageType;
use faceline_worker::jobs::pipeline_settings;
use faceline_worker::pipeline::{CodingOptions, Models, Pipeline, StageTimes};
use serde_json::json;

use super::coder;

#[derive(Debug, clap::Args)]
pub(super) struct Bench {
    /// The picture
    #[arg(long, value_name = "FILE")]
    picture: PathBuf,
    /// How often each thread takes it
    #[arg(long, default_value_t = 200)]
    count: u32,
}

impl Bench {
    pub(super) fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let models = coder::models(config)?;
        let picture = std::fs::read(&self.picture)?;
        let threads = match config.inference.sessions {
            0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        };
        let mut pipelines = Vec::new();
        for _ in 0..threads {
            let mut pipeline = warm(&models, config)?;
            // The first run of a size takes memory that the following ones keep.
            pipeline.code(&picture, OPTIONS, &mut StageTimes::default())?;
            pipelines.push(pipeline);
        }
        let (cpu, started) = (cpu_time()?, Instant::now());
        let times = thread::scope(|scope| {
            let runs: Vec<_> = pipelines
                .iter_mut()
                .map(|pipeline| scope.spawn(|| repeat(pipeline, &picture, self.count)))
                .collect();
            runs.into_iter()
                .map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        let (cpu, elapsed) = (cpu_time()? - cpu, started.elapsed());

        let jobs = f64::from(self.count) * threads as f64;
        let stage = |part: fn(&StageTimes) -> Duration| {
            times.iter().map(part).sum::<Duration>().as_secs_f64() * 1000.0 / jobs
        };
        let report = json!({
            "per_second": jobs / elapsed.as_secs_f64(),
            "cpu_ms": cpu * 1000.0 / jobs,
            "stages_ms": {
                "decode": stage(|times| times.decode),
                "detect": stage(|times| times.detect),
                "landmarks": stage(|times| times.landmarks),
                "embed": stage(|times| times.embed),
            },
        });
        writeln!(std::io::stdout(), "{report}")?;
        Ok(ExitCode::SUCCESS)
    }
}

const OPTIONS: CodingOptions = CodingOptions { image_type: ImageType::Selfie, rotate: false };

fn warm(models: &Models, config: &Config) -> anyhow::Result<Pipeline> {
    let mut pipeline = Pipeline::new(models, pipeline_settings(config))?;
    pipeline.warm_up()?;
    Ok(pipeline)
}

fn repeat(pipeline: &mut Pipeline, picture: &[u8], count: u32) -> anyhow::Result<StageTimes> {
    let mut times = StageTimes::default();
    for _ in 0..count {
        let coded = pipeline.code(picture, OPTIONS, &mut times)?;
        anyhow::ensure!(coded.face.is_some(), "there is no face in the picture");
    }
    Ok(times)
}

/// CPU time of this process so far, in seconds (`utime` and `stime` of proc(5), in hundredths).
fn cpu_time() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}
