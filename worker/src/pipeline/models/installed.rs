//! The installed models, and how a pipeline opens one.

use std::path::PathBuf;
use std::sync::Arc;

use faceline_models::manifest::{Model, Output, Role};
use faceline_models::{InstalledModel, Repository, RepositoryError};

use super::network::{FaceModel, Network};
use crate::inference::{Device, InferenceError, Runtime};

/// The models that a pipeline needs. All pipelines of a process share one value; each opens its own sessions.
#[derive(Clone, Debug)]
pub struct Models {
    runtime: Arc<Runtime>,
    device: Device,
    installed: Arc<[(Role, PathBuf, Model)]>,
    algorithm: String,
    template_version: u32,
}

/// Why the models cannot be used.
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
    /// Looks up the models in the repository. Each [`Pipeline`](crate::pipeline::Pipeline) opens them.
    ///
    /// # Errors
    /// [`ModelsError::Repository`] if a model is not installed, [`ModelsError::Inference`] if the model for embeddings
    /// does not give any.
    pub fn load(
        repository: &Repository,
        runtime: &Arc<Runtime>,
        device: &Device,
    ) -> Result<Self, ModelsError> {
        let find = |role| repository.model(role).map(|model| (role, model.path, model.spec.clone()));
        let embedding = find(Role::Embedding)?;
        let Output::Embedding { algorithm, template_version, .. } = &embedding.2.output else {
            let reason = "it does not give embeddings".to_owned();
            return Err(InferenceError::Model { model: embedding.2.name, reason }.into());
        };
        let (algorithm, template_version) = (algorithm.clone(), *template_version);
        let others = [Role::Detector, Role::Landmarks, Role::Age, Role::Liveness, Role::HeadPose].map(find);
        let installed = std::iter::once(Ok(embedding)).chain(others).collect::<Result<_, _>>()?;
        Ok(Self { runtime: Arc::clone(runtime), device: *device, installed, algorithm, template_version })
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
}

/// Opens a session of the installed model that has the role of `M`.
pub(crate) fn open<M: FaceModel>(models: &Models) -> Result<M, InferenceError> {
    let (_, path, spec) = models.installed.iter().find(|(role, ..)| *role == M::ROLE).ok_or_else(|| {
        InferenceError::Model { model: format!("{:?}", M::ROLE), reason: "it is not installed".to_owned() }
    })?;
    let model = InstalledModel { path: path.clone(), spec };
    let network = Network::open(&models.runtime, models.device, &model)?;
    M::new(network, spec)
        .ok_or_else(|| InferenceError::Model { model: spec.name.clone(), reason: M::FORM.to_owned() })
}
