//! The bare pipeline: the same picture through decoder and models, without network, broker and gateway.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use tokio::process::Command;

use crate::site::program;

/// What `faceline-models bench` prints.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Bare {
    /// Pictures a second over all threads.
    pub(crate) per_second: f64,
    /// CPU time of a picture.
    pub(crate) cpu_ms: f64,
    /// Time of a picture by stage.
    stages_ms: BTreeMap<String, f64>,
}

impl Bare {
    /// The stages in words.
    pub(crate) fn stages(&self) -> String {
        let stages: Vec<_> = self.stages_ms.iter().map(|(stage, ms)| format!("{stage} {ms:.2}")).collect();
        stages.join(", ")
    }
}

/// Runs the bare pipeline over `picture`, `count` times a thread, on as many threads as the worker has.
pub(crate) async fn run(picture: &Path, count: usize) -> anyhow::Result<Bare> {
    let output = Command::new(program("faceline-models")?)
        .args(["bench", "--count", &count.to_string(), "--picture"])
        .arg(picture)
        .stderr(std::process::Stdio::inherit())
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "the bare pipeline ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("the bare pipeline does not print what was expected")
}
