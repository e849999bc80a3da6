//! Puts a worker together.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use faceline_models::calibration::{Calibration, CalibrationError};
use faceline_models::manifest::{Output, Role};
use faceline_models::{Repository, RepositoryError};
use faceline_shared::admin::Condition;
use faceline_shared::services::SharedServices;
use faceline_shared::settings::Settings;
use faceline_shared::shutdown::CancellationToken;

use super::{Comparator, Consumer, Engine, FaceWorker, Handler as _, WorkerMetrics};
use crate::inference::{Device, InferenceError, Runtime, UnknownDevice};
use crate::picture::Limits;
use crate::pipeline::{Models, ModelsError, Pipeline, PipelineSettings};

/// How often broker and blob store are looked at for /readyz.
const LOOK: Duration = Duration::from_secs(2);

/// Name of the condition that the models are loaded and warm.
pub const MODELS_READY: &str = "models";

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// `inference.device` is of another form.
    #[error("inference.device: {0}")]
    Device(#[from] UnknownDevice),
    /// No models are installed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// ONNX Runtime or its provider does not load.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A model does not load.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The table from similarity to rate is not there or not usable.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// Gateways would refuse this worker's templates.
    #[error(
        "the installed models make templates of {installed}, face.algorithm and face.template_version say {configured}"
    )]
    Algorithm {
        /// Of the manifest.
        installed: String,
        /// Of the settings.
        configured: String,
    },
    /// The system gives no threads.
    #[error("inference threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
    /// Loading the models panicked; the panic is in the log.
    #[error("loading the models failed")]
    Panicked,
}

/// Runs a worker until `shutdown`.
///
/// # Errors
/// Models, runtime or device are not as the settings say.
pub async fn run(services: SharedServices, shutdown: CancellationToken) -> Result<(), WorkerError> {
    let models = services.readiness.condition(MODELS_READY);
    let config = services.settings.clone();
    // Loading takes seconds of CPU, which the runtime's threads have other uses for.
    let engine =
        tokio::task::spawn_blocking(move || engine(&config)).await.map_err(|_| WorkerError::Panicked)??;
    let (prefetch, slots) = (engine.prefetch(), engine.slots());
    tracing::info!(prefetch, slots, "models are loaded and warm");
    models.set(true);

    let connected = services.readiness.condition("worker_broker");
    let blobs = services.readiness.condition("worker_blobs");
    let looking = tokio::spawn(look(services.clone(), connected, blobs));
    let metrics = WorkerMetrics::new(&services.metrics);
    let consumer =
        Consumer::new(services.broker, services.blobs, services.keys.data, Arc::new(engine), metrics);
    let drain = services.settings.jobs.drain;
    let stop = shutdown.clone();
    let give_up = async {
        stop.cancelled().await;
        models.set(false);
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        () = consumer.run(prefetch, shutdown) => tracing::info!("all jobs are done"),
        () = give_up => tracing::warn!("jobs are left to other workers, since jobs.drain is over"),
    }
    looking.abort();
    Ok(())
}

/// Loads and warms the models.
pub(super) fn engine(config: &Settings) -> Result<Engine, WorkerError> {
    let device: Device = config.inference.device.parse()?;
    let repository = Repository::open(&config.models.dir)?;
    let runtime = Runtime::load(repository.runtime_library(), repository.runtime_version())?;
    let models = Models::load(&repository, &runtime, &device)?;
    models.check_lazy()?;
    check_algorithm(config, &models)?;
    let calibration = calibration(&repository)?;
    let settings = pipeline_settings(config);
    let sessions = match config.inference.sessions {
        0 => available_parallelism().map_or(1, std::num::NonZero::get),
        sessions => sessions,
    };
    let comparator = Comparator::new(calibration, models.algorithm().to_owned(), models.template_version());
    let workers =
        (0..sessions).map(|_| Ok(FaceWorker::new(Pipeline::new(&models, settings)?, comparator.clone())));
    Ok(Engine::start(workers.collect::<Result<_, InferenceError>>()?)?)
}

/// What the pipeline needs to know of the settings.
#[must_use]
pub fn pipeline_settings(config: &Settings) -> PipelineSettings {
    let limits = &config.limits;
    PipelineSettings {
        limits: Limits {
            bytes: limits.picture_bytes,
            pixels: limits.picture_pixels,
            time: limits.decode_time,
        },
        second_face: config.face.second_face_ratio,
        second_portrait: config.face.second_portrait_ratio,
        findings: config.findings,
    }
}

fn calibration(repository: &Repository) -> Result<Calibration, WorkerError> {
    let embedding = repository.model(Role::Embedding)?;
    match &embedding.spec.output {
        Output::Embedding { calibration, .. } => Ok(Calibration::named(calibration)?),
        _ => Err(RepositoryError::NoModel(Role::Embedding).into()),
    }
}

fn check_algorithm(config: &Settings, models: &Models) -> Result<(), WorkerError> {
    let installed = format!("{} version {}", models.algorithm(), models.template_version());
    let configured = format!("{} version {}", config.face.algorithm, config.face.template_version);
    if installed == configured { Ok(()) } else { Err(WorkerError::Algorithm { installed, configured }) }
}

async fn look(services: SharedServices, connected: Condition, blobs: Condition) {
    let mut interval = tokio::time::interval(LOOK);
    loop {
        interval.tick().await;
        connected.set(services.broker.is_connected());
        let check = services.blobs.check().await;
        if let Err(error) = &check {
            tracing::warn!(%error, "the blob store is not usable");
        }
        blobs.set(check.is_ok());
    }
}
