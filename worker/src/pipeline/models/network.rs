//! The common part of all networks of the pipeline.

use std::sync::Arc;
use std::time::Duration;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Input, Model, Role};

use super::normaliser::Normaliser;
use crate::inference::{Device, InferenceError, ModelOutputs, ModelSession, Runtime};
use crate::picture::Chip;

/// A network that takes chips of one size, in batches.
pub(crate) struct Network {
    session: ModelSession,
    normaliser: Normaliser,
    size: (u32, u32),
    /// The batch so far. Its memory is kept for the next batch.
    tensor: Vec<f32>,
}

/// A network in a role: the requirements on its manifest entry, and the reading of its output.
pub(crate) trait FaceModel: Sized {
    /// The role of the model in the manifest.
    const ROLE: Role;
    /// The input and output that such a model has, for the error about another one.
    const FORM: &'static str;

    /// Wraps an opened network; `None` where `spec` describes a model of another form.
    fn new(network: Network, spec: &Model) -> Option<Self>;

    /// The network inside.
    fn network(&self) -> &Network;

    /// The network inside, for runs that do not read its output.
    fn network_mut(&mut self) -> &mut Network;

    /// Time of all runs so far, without the preparation of inputs.
    fn model_time(&self) -> Duration {
        self.network().session.model_time()
    }
}

impl Network {
    /// Loads an installed model.
    pub(crate) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        Ok(Self::new(ModelSession::open(runtime, device, &model.path, model.spec)?, &model.spec.input))
    }

    /// Loads the bytes of an ONNX file, which `spec` describes.
    pub(crate) fn open_graph(
        runtime: &Arc<Runtime>,
        device: Device,
        graph: &[u8],
        spec: &Model,
    ) -> Result<Self, InferenceError> {
        Ok(Self::new(ModelSession::open_graph(runtime, device, graph, spec)?, &spec.input))
    }

    fn new(session: ModelSession, input: &Input) -> Self {
        let (normaliser, size) = (Normaliser::new(input), (input.width, input.height));
        Self { session, normaliser, size, tensor: Vec::new() }
    }

    /// An empty chip of the network's input size.
    pub(crate) fn chip(&self) -> Chip {
        let (width, height) = self.size;
        Chip { width, height, pixels: Vec::new() }
    }

    /// Begins a batch, and discards one that a panic left behind.
    pub(crate) fn begin_batch(&mut self) {
        self.tensor.clear();
    }

    /// Adds a chip to the batch.
    pub(crate) fn push(&mut self, chip: &Chip) {
        self.normaliser.append(chip, &mut self.tensor);
    }

    /// Runs one input of noise `count` times. For benchmarks.
    pub(crate) fn run_noise(&mut self, count: u32) -> Result<(), InferenceError> {
        let mut chip = self.chip();
        let mut state = 1_u32;
        // The low bits of a linear congruential generator (Numerical Recipes) repeat soon, the high ones do not.
        chip.pixels.resize_with(chip.width as usize * chip.height as usize * 3, || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        self.begin_batch();
        self.push(&chip);
        (0..count).try_for_each(|_| self.run().map(drop))
    }

    /// Runs the batch.
    pub(crate) fn run(&mut self) -> Result<ModelOutputs<'_>, InferenceError> {
        self.session.run(&self.tensor)
    }
}

/// The mean of the results of several passes or networks; 0 without values.
pub(crate) fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}
