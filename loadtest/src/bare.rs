//! The bare pipeline: the same picture through digest, decoder and models, without network, broker and gateway.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::site::program;

/// The output of `faceline-models bench`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Bare {
    /// Pictures a second over all threads.
    pub(crate) per_second: f64,
    /// CPU time of a picture.
    pub(crate) cpu_ms: f64,
    /// Time of a picture by stage.
    stages_ms: BTreeMap<String, f64>,
    /// Time of a picture inside ONNX Runtime.
    pub(crate) models_ms: f64,
    /// CPU time of one pass of each network that coding needs.
    pub(crate) passes_ms: f64,
    /// Time of libjpeg-turbo alone for the picture at the same scale.
    pub(crate) turbo_ms: f64,
}

impl Bare {
    /// The stages as a text.
    pub(crate) fn stages(&self) -> String {
        let stages: Vec<_> = self.stages_ms.iter().map(|(stage, ms)| format!("{stage} {ms:.2}")).collect();
        stages.join(", ")
    }

    /// A stage's time, in milliseconds.
    pub(crate) fn stage_ms(&self, stage: &str) -> f64 {
        self.stages_ms.get(stage).copied().unwrap_or(f64::NAN)
    }
}

/// Runs the bare pipeline over `picture`, `count` times a thread, on as many threads as the worker has. `models` is a
/// folder of other models than the installed ones.
pub(crate) async fn run(picture: &Path, count: usize, models: Option<&Path>) -> anyhow::Result<Bare> {
    let mut command = Command::new(program("faceline-models")?);
    command.args(["bench", "--count", &count.to_string(), "--picture"]).arg(picture);
    if let Some(models) = models {
        command.env("FACELINE_MODELS__DIR", models);
    }
    printed(command).await
}

/// CPU time in milliseconds of one judgement of the liveness of one picture or two, as the mean of `count` times.
pub(crate) async fn examine(pictures: &[&Path], count: usize) -> anyhow::Result<f64> {
    let mut command = Command::new(program("faceline-models")?);
    command.args(["bench-liveness", "--count", &count.to_string()]);
    for picture in pictures {
        command.arg("--picture").arg(picture);
    }
    let Examined { cpu_ms } = printed(command).await?;
    Ok(cpu_ms)
}

/// The output of `faceline-models bench-liveness`.
#[derive(Deserialize)]
struct Examined {
    cpu_ms: f64,
}

async fn printed<T: DeserializeOwned>(mut command: Command) -> anyhow::Result<T> {
    let output = command.stderr(std::process::Stdio::inherit()).output().await?;
    anyhow::ensure!(output.status.success(), "the bare pipeline ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("the bare pipeline does not print what was expected")
}
