//! Models that most workers are never asked for.

use std::time::Duration;

use super::models::Models;
use crate::inference::InferenceError;

/// A model that tells how long it has run.
pub(super) trait Timed {
    /// Time of all runs so far.
    fn busy(&self) -> Duration;
}

/// A model that is loaded when it is first asked for, since it takes megabytes.
pub(super) struct Lazy<M> {
    models: Models,
    open: fn(&Models) -> Result<M, InferenceError>,
    loaded: Option<M>,
}

impl<M: Timed> Lazy<M> {
    pub(super) fn new(models: &Models, open: fn(&Models) -> Result<M, InferenceError>) -> Self {
        Self { models: models.clone(), open, loaded: None }
    }

    /// The model, loaded if need be.
    pub(super) fn get(&mut self) -> Result<&mut M, InferenceError> {
        let model = match self.loaded.take() {
            Some(loaded) => loaded,
            None => (self.open)(&self.models)?,
        };
        Ok(self.loaded.insert(model))
    }

    /// Time of all runs of the model so far.
    pub(super) fn busy(&self) -> Duration {
        self.loaded.as_ref().map_or(Duration::ZERO, M::busy)
    }
}
