//! `faceline-models bench`: the cost of a picture without network, broker and gateway, and the shares of decoder and
//! models.

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use faceline_shared::digest::sha256_hex;
use faceline_shared::face::ImageType;
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::{CodingOptions, Models, Pipeline, StageTimes, search_eighths};
use faceline_worker::pipeline_settings;
use serde_json::json;
use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

use crate::coder;

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Picture to process
    #[arg(long, value_name = "FILE")]
    picture: PathBuf,
    /// Number of repetitions on each thread
    #[arg(long, default_value_t = 200)]
    count: u32,
}

impl Bench {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let models = coder::models(config)?;
        let picture = std::fs::read(&self.picture)?;
        let threads = match config.inference.sessions {
            0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        };
        let mut pipelines = Vec::new();
        for _ in 0..threads {
            let mut pipeline = warm(&models, config)?;
            // The first run of each size allocates memory that later runs reuse.
            pipeline.code(&picture, OPTIONS)?;
            pipelines.push(pipeline);
        }
        let (cpu, started) = (cpu_time()?, Instant::now());
        let runs = thread::scope(|scope| {
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
        let mean_ms = |part: fn(&Run) -> Duration| {
            runs.iter().map(part).sum::<Duration>().as_secs_f64() * 1000.0 / jobs
        };
        let report = json!({
            "per_second": jobs / elapsed.as_secs_f64(),
            "cpu_ms": cpu * 1000.0 / jobs,
            "stages_ms": {
                "digest": mean_ms(|run| run.digest),
                "decode": mean_ms(|run| run.stages.decode),
                "detect": mean_ms(|run| run.stages.detect),
                "landmarks": mean_ms(|run| run.stages.landmarks),
                "embed": mean_ms(|run| run.stages.embed),
            },
            "models_ms": mean_ms(|run| run.models),
            "passes_ms": passes_ms(&mut pipelines, self.count)?,
            "age_ms": age_ms(&mut pipelines, &picture, self.count)?,
            "turbo_ms": turbo_ms(&picture, self.count)?,
        });
        writeln!(std::io::stdout(), "{report}")?;
        Ok(ExitCode::SUCCESS)
    }
}

const OPTIONS: CodingOptions = CodingOptions { image_type: ImageType::Selfie, rotate: false };

/// The times of one thread.
struct Run {
    digest: Duration,
    stages: StageTimes,
    /// Time spent in ONNX Runtime.
    models: Duration,
}

pub(crate) fn warm(models: &Models, config: &Settings) -> anyhow::Result<Pipeline> {
    let mut pipeline = Pipeline::new(models, pipeline_settings(config))?;
    pipeline.warm_up()?;
    Ok(pipeline)
}

fn repeat(pipeline: &mut Pipeline, picture: &[u8], count: u32) -> anyhow::Result<Run> {
    let mut run = Run { digest: Duration::ZERO, stages: StageTimes::default(), models: Duration::ZERO };
    pipeline.take_times();
    let before = pipeline.model_time();
    for _ in 0..count {
        let started = Instant::now();
        black_box(sha256_hex(picture));
        run.digest += started.elapsed();
        let coded = pipeline.code(picture, OPTIONS)?;
        anyhow::ensure!(coded.face.is_some(), "there is no face in the picture");
    }
    run.stages = pipeline.take_times();
    run.models = pipeline.model_time() - before;
    Ok(run)
}

/// CPU time of one pass of each network that coding needs, in milliseconds, on as many threads as coded the pictures.
fn passes_ms(pipelines: &mut [Pipeline], count: u32) -> anyhow::Result<f64> {
    let (threads, before) = (pipelines.len(), cpu_time()?);
    thread::scope(|scope| {
        let runs: Vec<_> = pipelines
            .iter_mut()
            .map(|pipeline| scope.spawn(move || pipeline.run_single_passes(count)))
            .collect();
        runs.into_iter()
            .try_for_each(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok((cpu_time()? - before) * 1000.0 / (f64::from(count) * threads as f64))
}

/// Time of the age model and of its input, without the coding, in milliseconds.
fn age_ms(pipelines: &mut [Pipeline], picture: &[u8], count: u32) -> anyhow::Result<f64> {
    let mut stages = StageTimes::default();
    for pipeline in pipelines.iter_mut().take(1) {
        // The first estimate loads the model.
        pipeline.estimate_age(picture, OPTIONS)?;
        pipeline.take_times();
        for _ in 0..count {
            black_box(pipeline.estimate_age(picture, OPTIONS)?);
        }
        stages = pipeline.take_times();
    }
    Ok(stages.age.as_secs_f64() * 1000.0 / f64::from(count))
}

/// Time of libjpeg-turbo alone for the picture, in milliseconds, at the scale at which the pipeline searches for faces.
fn turbo_ms(picture: &[u8], count: u32) -> anyhow::Result<f64> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(picture)?;
    let eighths = search_eighths(header.width as u32, header.height as u32);
    let factor = ScalingFactor::new(eighths.into(), 8);
    let header = header.scaled(factor);
    if factor != ScalingFactor::ONE {
        decompressor.set_scaling_factor(factor)?;
    }
    let (width, height, pitch) = (header.width, header.height, header.width * 3);
    let mut pixels = vec![0; pitch * height];
    let started = Instant::now();
    for _ in 0..count {
        let format = PixelFormat::RGB;
        decompressor.decompress(picture, Image { pixels: &mut pixels[..], width, pitch, height, format })?;
    }
    Ok(started.elapsed().as_secs_f64() * 1000.0 / f64::from(count))
}

/// CPU time of this process so far, in seconds (`utime` and `stime` of proc(5), in hundredths).
pub(crate) fn cpu_time() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}
