//! Models that most workers never need.

use std::time::Duration;

use super::installed::{Models, Openable};
use crate::inference::InferenceError;

/// A model that is opened at its first use, because it takes megabytes.
pub(crate) struct OnDemand<M> {
    models: Models,
    opened: Option<M>,
}

impl<M: Openable> OnDemand<M> {
    pub(crate) fn new(models: &Models) -> Self {
        Self { models: models.clone(), opened: None }
    }

    /// The model, opened if it was not yet.
    pub(crate) fn get(&mut self) -> Result<&mut M, InferenceError> {
        let model = match self.opened.take() {
            Some(opened) => opened,
            None => M::open(&self.models)?,
        };
        Ok(self.opened.insert(model))
    }

    /// Time of all runs of the model so far.
    pub(crate) fn model_time(&self) -> Duration {
        self.opened.as_ref().map_or(Duration::ZERO, M::model_time)
    }
}
