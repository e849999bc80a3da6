//! The commands about autoscaling: one measures this machine, the other simulates with the measurements.

mod measure;

use std::path::PathBuf;

use anyhow::Context as _;
use faceline_loadtest::scaling::{Measurements, write_document};

/// A command about autoscaling.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Scaling {
    /// Measure service times, start, messages and memory on this machine
    Measure {
        /// File for the measurements
        #[arg(long, value_name = "FILE", default_value = "docs/scaling/measured.json")]
        output: PathBuf,
        /// Portrait that the pictures are made from [default: one of the installed pictures]
        #[arg(long, value_name = "FILE")]
        portrait: Option<PathBuf>,
        /// Other activity on this machine during the measurement, for the document
        #[arg(long, default_value = "nothing else ran")]
        note: String,
    },
    /// Simulate all arrival traces, and write plots, recommended settings and the capacity table
    Simulate {
        /// File with the measurements
        #[arg(long, value_name = "FILE", default_value = "docs/scaling/measured.json")]
        measured: PathBuf,
        /// File with the ScaledObject to simulate
        #[arg(
            long,
            value_name = "FILE",
            default_value = "deploy/kubernetes/components/keda/scaledobjects.yaml"
        )]
        scaled_object: PathBuf,
        /// Folder for the plots and tables
        #[arg(long, value_name = "DIR", default_value = "docs/scaling")]
        output: PathBuf,
    },
}

impl Scaling {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Measure { output, portrait, note } => {
                let measured = measure::run(portrait, &note).await?;
                let text = format!("{}\n", serde_json::to_string_pretty(&measured)?);
                std::fs::write(&output, text).with_context(|| output.display().to_string())
            }
            Self::Simulate { measured, scaled_object, output } => {
                let read = |path: &PathBuf| {
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())
                };
                let measured: Measurements = serde_json::from_str(&read(&measured)?)?;
                write_document(&measured, &read(&scaled_object)?, &output)
            }
        }
    }
}
