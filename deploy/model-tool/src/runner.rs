//! Runs graphs for the proof of a conversion.

use std::path::{Path, PathBuf};

use faceline_models::manifest::Manifest;
use faceline_models::onnx::{GraphRunner, RunnerError, Tensor};
use faceline_models::provision;
use faceline_worker::inference::Runtime;

/// The worker's ONNX Runtime. It is loaded at the first use, because provisioning installs it before it converts a
/// model.
pub(crate) struct WorkerRunner {
    library: PathBuf,
    version: String,
}

impl WorkerRunner {
    pub(crate) fn new(dir: &Path, manifest: &Manifest) -> Self {
        Self { library: provision::runtime_library(dir, manifest), version: manifest.runtime.version.clone() }
    }
}

impl GraphRunner for WorkerRunner {
    fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        Runtime::load(&self.library, &self.version)?.run(model, inputs)
    }
}
