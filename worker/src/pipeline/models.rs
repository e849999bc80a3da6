//! The models that coding needs.

use std::path::PathBuf;
use std::sync::Arc;

use faceline_models::manifest::{Model, Output, Role};
use faceline_models::{InstalledModel, Repository, RepositoryError};

use super::age::AgeEstimator;
use super::liveness::PassiveLiveness;
use crate::inference::{Device, InferenceError, Runtime};

/// What coding needs, shared by all pipelines of a process.
#[derive(Clone, Debug)]
pub struct Models {
    pub(super) runtime: Arc<Runtime>,
    pub(super) device: Device,
    detector: (PathBuf, Model),
    landmarks: (PathBuf, Model),
    embedding: (PathBuf, Model),
    age: (PathBuf, Model),
    liveness: (PathBuf, Model),
    algorithm: String,
    template_version: u32,
}

/// Why coding cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A model is not installed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A model does not load.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

impl Models {
    /// Looks up the models and what they are. They are loaded by each [`Pipeline`](super::Pipeline).
    ///
    /// # Errors
    /// A model is not installed, or the one that should give embeddings does not.
    pub fn load(
        repository: &Repository,
        runtime: &Arc<Runtime>,
        device: &Device,
    ) -> Result<Self, ModelsError> {
        let owned = |role| repository.model(role).map(|model| (model.path, model.spec.clone()));
        let embedding = owned(Role::Embedding)?;
        let Output::Embedding { algorithm, template_version, .. } = &embedding.1.output else {
            let reason = "it does not give embeddings".to_owned();
            return Err(InferenceError::Model { model: embedding.1.name, reason }.into());
        };
        Ok(Self {
            runtime: Arc::clone(runtime),
            device: *device,
            detector: owned(Role::Detector)?,
            landmarks: owned(Role::Landmarks)?,
            age: owned(Role::Age)?,
            liveness: owned(Role::Liveness)?,
            algorithm: algorithm.clone(),
            template_version: *template_version,
            embedding,
        })
    }

    /// Name of the embedding's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Version of the templates that the embedding makes.
    #[must_use]
    pub fn template_version(&self) -> u32 {
        self.template_version
    }

    /// Loads the models that pipelines load only when they are asked for what they give, and lets go of them: whoever
    /// starts a worker should hear of a model that cannot be used, and not the first caller.
    ///
    /// # Errors
    /// A model does not load, or is not what the manifest says.
    pub fn check_lazy(&self) -> Result<(), InferenceError> {
        self.open_age_model()?;
        self.open_liveness_model().map(|_| ())
    }

    pub(super) fn detector(&self) -> InstalledModel<'_> {
        view(&self.detector)
    }

    pub(super) fn landmarks(&self) -> InstalledModel<'_> {
        view(&self.landmarks)
    }

    pub(super) fn embedding(&self) -> InstalledModel<'_> {
        view(&self.embedding)
    }

    pub(super) fn open_age_model(&self) -> Result<AgeEstimator, InferenceError> {
        AgeEstimator::open(&self.runtime, self.device, &view(&self.age))
    }

    pub(super) fn open_liveness_model(&self) -> Result<PassiveLiveness, InferenceError> {
        PassiveLiveness::open(&self.runtime, self.device, &view(&self.liveness))
    }
}

fn view((path, spec): &(PathBuf, Model)) -> InstalledModel<'_> {
    InstalledModel { path: path.clone(), spec }
}
