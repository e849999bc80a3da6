//! The installed models, and how a pipeline opens one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use faceline_models::liveness::{LivenessCalibration, models_sha256};
use faceline_models::manifest::{AgeCorrection, Model, Output, Profile, Role};
use faceline_models::onnx::at_half_size;
use faceline_models::{InstalledModel, Repository, RepositoryError};

use super::detector::Detector;
use super::network::{FaceModel, Network};
use crate::inference::{Device, InferenceError, Runtime};

/// The roles of the models that a pipeline uses.
const ROLES: [Role; 6] =
    [Role::Embedding, Role::Detector, Role::Landmarks, Role::Age, Role::Liveness, Role::HeadPose];

/// The models that a pipeline needs. All pipelines of a process share one value; each opens its own sessions.
#[derive(Clone, Debug)]
pub struct Models {
    runtime: Arc<Runtime>,
    device: Device,
    installed: Arc<[(PathBuf, Model)]>,
    age_correction: Arc<AgeCorrection>,
    liveness_calibration: Arc<LivenessCalibration>,
    algorithm: String,
    template_version: u32,
}

/// Reason why the models cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A model is not installed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A model does not load.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The liveness calibration is for the models of another profile, or there is none.
    #[error(
        "the liveness calibration `{name}` is not for the profile {profile:?}: make one with `faceline-models calibrate liveness`, or leave liveness.calibration empty"
    )]
    Calibration {
        /// The setting `liveness.calibration`; empty for the one that ships.
        name: String,
        /// The setting `models.profile`.
        profile: Profile,
    },
    /// The liveness calibration was made for other models, or for other inputs of these.
    #[error(
        "the liveness calibration `{0}` was made for other liveness models or for another crop than the installed ones: make it again with `faceline-models calibrate liveness`, or leave liveness.calibration empty"
    )]
    OtherLivenessModels(String),
    /// The manifest's description of a liveness model cannot be written.
    #[error("the liveness models cannot be described: {0}")]
    Description(#[from] serde_json::Error),
}

impl Models {
    /// Looks up the models of a profile in the repository. Each [`Pipeline`](crate::pipeline::Pipeline) opens them.
    /// Liveness is scored by the calibration named `calibration`, or by the one that ships if that is empty.
    ///
    /// # Errors
    /// [`ModelsError::Repository`] if a model is not installed, [`ModelsError::Inference`] if the model for embeddings
    /// does not give any, [`ModelsError::Calibration`] and [`ModelsError::OtherLivenessModels`] if the liveness
    /// calibration cannot be used.
    pub fn load(
        repository: &Repository,
        runtime: &Arc<Runtime>,
        device: &Device,
        profile: Profile,
        calibration: &str,
    ) -> Result<Self, ModelsError> {
        let embedding = repository.model(Role::Embedding)?;
        let Output::Embedding { algorithm, template_version, .. } = &embedding.spec.output else {
            let reason = "it does not give embeddings".to_owned();
            return Err(InferenceError::Model { model: embedding.spec.name.clone(), reason }.into());
        };
        let (algorithm, template_version) = (algorithm.clone(), *template_version);
        let mut installed = Vec::new();
        for role in ROLES {
            let models = repository.models(role, profile)?;
            installed.extend(models.into_iter().map(|model| (model.path, model.spec.clone())));
        }
        let liveness_calibration = if calibration.is_empty() {
            repository.manifest().liveness_calibration(profile).cloned()
        } else {
            Some(repository.operators_calibration(calibration)?)
        };
        let liveness_calibration = liveness_calibration
            .filter(|found| found.profile == profile)
            .ok_or_else(|| ModelsError::Calibration { name: calibration.to_owned(), profile })?;
        let made_for = liveness_calibration.models_sha256.as_deref();
        let present = models_sha256(installed.iter().map(|(_, model)| model))?;
        if !calibration.is_empty() && made_for != Some(&*present) {
            return Err(ModelsError::OtherLivenessModels(calibration.to_owned()));
        }
        Ok(Self {
            runtime: Arc::clone(runtime),
            device: *device,
            installed: installed.into(),
            age_correction: Arc::new(repository.manifest().age_correction.clone()),
            liveness_calibration: Arc::new(liveness_calibration),
            algorithm,
            template_version,
        })
    }

    /// The curve from the mean of the age models to an age.
    pub(crate) fn age_correction(&self) -> &AgeCorrection {
        &self.age_correction
    }

    /// The installed models that are used.
    pub fn all(&self) -> impl Iterator<Item = &Model> {
        self.installed.iter().map(|(_, model)| model)
    }

    /// The map from log-odds of liveness to a score.
    #[must_use]
    pub fn liveness_calibration(&self) -> &LivenessCalibration {
        &self.liveness_calibration
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

/// A value that [`OnDemand`](super::OnDemand) opens: a model, or all models of a role.
pub(crate) trait Openable: Sized {
    /// Opens it.
    fn open(models: &Models) -> Result<Self, InferenceError>;

    /// Time of all runs so far, without the preparation of inputs.
    fn model_time(&self) -> Duration;
}

impl<M: FaceModel> Openable for M {
    fn open(models: &Models) -> Result<Self, InferenceError> {
        open(models)
    }

    fn model_time(&self) -> Duration {
        FaceModel::model_time(self)
    }
}

/// Opens a session of the installed model that has the role of `M`.
pub(crate) fn open<M: FaceModel>(models: &Models) -> Result<M, InferenceError> {
    open_all(models)?.into_iter().next().ok_or_else(|| InferenceError::Model {
        model: format!("{:?}", M::ROLE),
        reason: "it is not installed".to_owned(),
    })
}

/// Opens a session of each installed model that has the role of `M`.
pub(crate) fn open_all<M: FaceModel>(models: &Models) -> Result<Vec<M>, InferenceError> {
    let of_role = models.installed.iter().filter(|(_, spec)| spec.role == M::ROLE);
    of_role
        .map(|(path, spec)| {
            let model = InstalledModel { path: path.clone(), spec };
            let network = Network::open(&models.runtime, models.device, &model)?;
            M::new(network, spec)
                .ok_or_else(|| InferenceError::Model { model: spec.name.clone(), reason: M::FORM.to_owned() })
        })
        .collect()
}

/// Opens the installed detector for an input of half its size; `None` where its graph is of another kind, and for an
/// accelerator, on which a second network costs more than it saves.
pub(crate) fn open_half_detector(models: &Models) -> Result<Option<Detector>, InferenceError> {
    let detector = models.installed.iter().find(|(_, spec)| spec.role == Role::Detector);
    let Some((path, spec)) = detector.filter(|_| models.device == Device::Cpu) else { return Ok(None) };
    let unusable = |reason: String| InferenceError::Model { model: spec.name.clone(), reason };
    let graph = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let graph = match at_half_size(&graph) {
        Ok(graph) => graph,
        Err(reason) => {
            tracing::info!(model = spec.name, %reason, "each picture is searched at the detector's full size");
            return Ok(None);
        }
    };
    let mut spec = spec.clone();
    spec.input.width /= 2;
    spec.input.height /= 2;
    let network = Network::open_graph(&models.runtime, models.device, &graph, &spec)?;
    Ok(Detector::new(network, &spec))
}

#[cfg(test)]
#[path = "installed_tests.rs"]
mod tests;
