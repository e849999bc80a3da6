//! A model with the way from chips to its input.

use std::sync::Arc;
use std::time::Duration;

use faceline_models::InstalledModel;

use super::normaliser::Normaliser;
use crate::inference::{Device, InferenceError, Outputs, Runtime, Session};
use crate::picture::Chip;

/// A model that takes chips of one size, in batches.
pub(super) struct ChipModel {
    session: Session,
    normaliser: Normaliser,
    size: (u32, u32),
    /// The batch so far; its memory is kept from one run to the next.
    tensor: Vec<f32>,
}

impl ChipModel {
    /// Loads a model.
    pub(super) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        let input = &model.spec.input;
        Ok(Self {
            session: Session::open(runtime, device, &model.path, model.spec)?,
            normaliser: Normaliser::new(input),
            size: (input.width, input.height),
            tensor: Vec::new(),
        })
    }

    /// A chip of the model's size, to be filled.
    pub(super) fn chip(&self) -> Chip {
        let (width, height) = self.size;
        Chip { width, height, pixels: Vec::new() }
    }

    /// Time of all runs so far, without what comes before and after them.
    pub(super) fn busy(&self) -> Duration {
        self.session.busy()
    }

    /// Adds a chip to the batch.
    pub(super) fn push(&mut self, chip: &Chip) {
        self.normaliser.append(chip, &mut self.tensor);
    }

    /// Runs the batch and begins a new one.
    pub(super) fn run(&mut self) -> Result<Outputs<'_>, InferenceError> {
        let outputs = self.session.run(&self.tensor);
        self.tensor.clear();
        outputs
    }
}
