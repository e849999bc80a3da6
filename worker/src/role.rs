//! The role of the worker: builds it from its parts, runs it, and drains it.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use faceline_models::calibration::CalibrationError;
use faceline_models::liveness::LivenessCalibration;
use faceline_models::manifest::Profile;
use faceline_models::{Repository, RepositoryError};
use faceline_shared::admin::{Condition, ConditionState};
use faceline_shared::key_agreement::{KeyAgreement, Role as BrokerEnd};
use faceline_shared::object::ObjectError;
use faceline_shared::services::SharedServices;
use faceline_shared::settings::{ModelProfile, Settings};
use faceline_shared::shutdown::CancellationToken;
use tokio::runtime::Handle;
use tokio::time::{Interval, MissedTickBehavior};

use crate::inference::{Device, InferenceError, Runtime, UnknownDevice};
use crate::jobs::{Availability, Consumer, Engine, EngineThreads, Handler as _, WorkerMetrics};
use crate::matching::{Comparator, FaceWorker};
use crate::picture::PictureLimits;
use crate::pipeline::{Models, ModelsError, Pipeline, PipelineSettings};
use crate::replay::exports::Exporter;
use crate::replay::{VideoServices, VideoWorker};
use crate::video::Decoder;

/// Interval at which broker, blob store and object store are checked for /readyz.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Name of the readiness condition that the models are loaded and run.
pub const MODELS_READY: &str = "models";

/// Name of the readiness condition that videos can be decoded.
const VIDEOS_READY: &str = "videos";

/// Reason why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// `inference.device` names no kind of device.
    #[error("inference.device: {0}")]
    Device(#[from] UnknownDevice),
    /// The models are not installed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// ONNX Runtime, its execution provider or a session does not load.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The models cannot be used.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The calibration from similarity to false acceptance rate is missing or not usable.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The installed models make other templates than the settings say. Gateways would refuse them.
    #[error(
        "the installed models make templates of {installed}, face.algorithm and face.template_version say {configured}"
    )]
    Algorithm {
        /// Algorithm and version of the installed models.
        installed: String,
        /// Algorithm and version in the settings.
        configured: String,
    },
    /// The settings of the store for exports cannot be used.
    #[error("exports: {0}")]
    Exports(#[from] ObjectError),
    /// The system cannot start the inference threads.
    #[error("inference threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
    /// Loading the models panicked; the panic is in the log.
    #[error("loading the models failed")]
    Panicked,
}

/// Runs a worker until `shutdown`.
///
/// # Errors
/// [`WorkerError`] if models, runtime or device are not as the settings say. A started worker ends without an error.
pub async fn run(services: SharedServices, shutdown: CancellationToken) -> Result<(), WorkerError> {
    // All conditions are registered before the models are loaded, or the program would briefly report that it is ready, and then not.
    let models = services.readiness.condition(MODELS_READY);
    let connected = services.readiness.condition("worker_broker");
    let blobs = services.readiness.condition("worker_blobs");
    // Pictures are judged without it.
    let objects = services.readiness.optional_condition("worker_objects");
    let config = services.settings.clone();
    // Loading takes seconds of CPU time, which would block a thread of the async runtime.
    let load = move || {
        let parts = WorkerParts::load(&config)?;
        let engine = parts.start_pictures(&config)?;
        Ok::<_, WorkerError>((parts, engine))
    };
    let (parts, engine) = tokio::task::spawn_blocking(load).await.map_err(|_| WorkerError::Panicked)??;
    WorkerMetrics::models(&services.metrics, parts.models.all());
    show_liveness_calibration(&services, parts.models.liveness_calibration());
    let videos = start_videos(&services, parts).await?;
    let (prefetch, slots) = (engine.prefetch(), engine.slots());
    let availability = engine.availability();
    if availability.is_available() {
        tracing::info!(prefetch, slots, "models are loaded and warm");
        models.set(true);
    }
    let reporting = tokio::spawn(report_availability(availability, models.clone()));

    warn_of_unshared_objects(&services);
    let checking = tokio::spawn(check_connections(services.clone(), connected, blobs, objects));
    let metrics = WorkerMetrics::new(&services.metrics);
    let agreement = KeyAgreement::start(BrokerEnd::Worker, &services).await;
    let consumer =
        Consumer::new(services.broker, services.blobs, services.keys.data, Arc::new(engine), metrics)
            .with_key_agreement(agreement)
            .with_drain(services.settings.jobs.drain);
    let consumer = match videos {
        Some(videos) => consumer.with_videos(Arc::new(videos)),
        None => consumer,
    };
    let stop = shutdown.clone();
    let become_unready = async {
        stop.cancelled().await;
        reporting.abort();
        models.set(false);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = consumer.run(prefetch, shutdown) => tracing::info!("the worker has drained"),
        () = become_unready => (),
    }
    checking.abort();
    Ok(())
}

/// Shows in metrics, `/readyz` and log which liveness calibration this worker uses: all workers must use the same.
fn show_liveness_calibration(services: &SharedServices, calibration: &LivenessCalibration) {
    WorkerMetrics::liveness_calibration(&services.metrics, calibration);
    let LivenessCalibration { name, profile, still, .. } = calibration;
    let (low, medium, high) = (still.low, still.medium, still.high);
    let text = format!("{name}, profile {profile:?}, thresholds {low}, {medium}, {high} (LLR)");
    tracing::info!(name, ?profile, low, medium, high, "the liveness calibration is loaded");
    services.readiness.set_fact("liveness_calibration", text);
}

/// Starts the threads that judge videos. `None` if this worker takes no videos, by its settings or because it cannot
/// decode them. A worker that cannot decode them reports itself degraded, and other workers get them.
async fn start_videos(services: &SharedServices, parts: WorkerParts) -> Result<Option<Engine>, WorkerError> {
    let slots = services.settings.inference.replay_slots;
    if slots == 0 {
        tracing::info!("this worker takes no videos, because inference.replay_slots is 0");
        return Ok(None);
    }
    let decodable = services.readiness.condition(VIDEOS_READY);
    let decoder = Decoder::new(&services.settings.replay);
    let shared = VideoServices {
        objects: Arc::clone(&services.objects),
        decoder: decoder.clone(),
        exporter: Arc::new(Exporter::open(&services.settings)?),
        runtime: Handle::current(),
    };
    let start = move || {
        if let Err(error) = decoder.check() {
            return Ok(Err(error));
        }
        let workers = (0..slots).map(|_| {
            let (pipeline, comparator) = parts.pipeline()?;
            Ok(VideoWorker::new(pipeline, comparator, shared.clone()))
        });
        let workers = workers.collect::<Result<_, InferenceError>>()?;
        Ok::<_, WorkerError>(Ok(Engine::start_on(EngineThreads::VIDEOS, workers)?))
    };
    match tokio::task::spawn_blocking(start).await.map_err(|_| WorkerError::Panicked)?? {
        Ok(engine) => {
            decodable.set(true);
            Ok(Some(engine))
        }
        Err(error) => {
            tracing::error!(%error, "this worker takes no videos");
            decodable.report(ConditionState::Degraded(error.to_string()));
            Ok(None)
        }
    }
}

/// Loads the models as a worker does at its start, opens each of them once, and returns the liveness calibration in use. Takes some
/// seconds of CPU time.
///
/// # Errors
/// [`WorkerError`]: the worker would not start.
pub fn check_models(config: &Settings) -> Result<LivenessCalibration, WorkerError> {
    let parts = WorkerParts::load(config)?;
    parts.pipeline()?;
    Ok(parts.models.liveness_calibration().clone())
}

/// Parts from which the pipelines of all threads are made.
pub(crate) struct WorkerParts {
    models: Models,
    settings: PipelineSettings,
    comparator: Comparator,
}

impl WorkerParts {
    /// Loads the models.
    pub(crate) fn load(config: &Settings) -> Result<Self, WorkerError> {
        let device: Device = config.inference.device.parse()?;
        let repository = Repository::open(&config.models.dir)?;
        let runtime = Runtime::load(repository.runtime_library(), repository.runtime_version())?;
        let models = load_models(config, &repository, &runtime, &device)?;
        Pipeline::check_on_demand_models(&models)?;
        check_algorithm(config, &models)?;
        let calibration = repository.manifest().calibration()?;
        let comparator =
            Comparator::new(calibration, models.algorithm().to_owned(), models.template_version());
        Ok(Self { models, settings: pipeline_settings(config), comparator })
    }

    /// Starts the threads that judge pictures.
    pub(crate) fn start_pictures(&self, config: &Settings) -> Result<Engine, WorkerError> {
        let sessions = match config.inference.sessions {
            0 => available_parallelism().map_or(1, std::num::NonZero::get),
            sessions => sessions,
        };
        let workers = (0..sessions).map(|_| {
            let (pipeline, comparator) = self.pipeline()?;
            Ok(FaceWorker::new(pipeline, comparator))
        });
        Ok(Engine::start(workers.collect::<Result<_, InferenceError>>()?)?)
    }

    /// A pipeline with sessions of its own, and the comparator for its embeddings.
    fn pipeline(&self) -> Result<(Pipeline, Comparator), InferenceError> {
        Ok((Pipeline::new(&self.models, self.settings)?, self.comparator.clone()))
    }
}

/// Loads the models of the configured profile, with the configured liveness calibration.
///
/// # Errors
/// [`ModelsError`] if a model is not installed, or the calibration cannot be used.
pub fn load_models(
    config: &Settings,
    repository: &Repository,
    runtime: &Arc<Runtime>,
    device: &Device,
) -> Result<Models, ModelsError> {
    let profile = profile_of(config.models.profile);
    Models::load(repository, runtime, device, profile, &config.liveness.calibration)
}

/// The manifest's profile of the setting `models.profile`.
#[must_use]
pub fn profile_of(profile: ModelProfile) -> Profile {
    match profile {
        ModelProfile::Default => Profile::Default,
        ModelProfile::Strong => Profile::Strong,
    }
}

/// The part of the configuration that the pipeline needs.
#[must_use]
pub fn pipeline_settings(config: &Settings) -> PipelineSettings {
    let limits = &config.limits;
    PipelineSettings {
        limits: PictureLimits {
            bytes: limits.picture_bytes,
            pixels: limits.picture_pixels,
            time: limits.decode_time,
        },
        second_face: config.face.second_face_ratio,
        second_live_face: config.face.second_live_face_ratio,
        second_portrait: config.face.second_portrait_ratio,
        findings: config.findings,
    }
}

fn check_algorithm(config: &Settings, models: &Models) -> Result<(), WorkerError> {
    let installed = format!("{} version {}", models.algorithm(), models.template_version());
    let configured = format!("{} version {}", config.face.algorithm, config.face.template_version);
    if installed == configured { Ok(()) } else { Err(WorkerError::Algorithm { installed, configured }) }
}

/// Reports whether the models run, as a readiness condition.
pub(crate) async fn report_availability(mut availability: Availability, models: Condition) {
    loop {
        availability.until(false).await;
        models.set(false);
        availability.until(true).await;
        models.set(true);
    }
}

/// Warns where this worker would not find the videos that gateways received.
fn warn_of_unshared_objects(services: &SharedServices) {
    let settings = &services.settings;
    if settings.objects.url.is_none() && !settings.broker.url.is_embedded() {
        tracing::warn!("objects.url is not set: this worker finds no videos of gateways on other machines");
    }
}

/// Checks broker, blob store and object store again and again, each on its own.
async fn check_connections(
    services: SharedServices,
    broker: Condition,
    blobs: Condition,
    objects: Condition,
) -> (Infallible, Infallible, Infallible) {
    let check_broker = async || -> Infallible {
        let mut polls = polls();
        loop {
            polls.tick().await;
            broker.report(services.broker.health().condition_state());
        }
    };
    let check_blobs = async || -> Infallible {
        let mut polls = polls();
        loop {
            polls.tick().await;
            blobs.report(match services.blobs.check().await {
                Ok(()) => ConditionState::Met,
                Err(error) if error.is_misconfiguration() => ConditionState::Unmet(error.to_string()),
                Err(error) => ConditionState::Degraded(error.to_string()),
            });
        }
    };
    let check_objects = async || -> Infallible {
        let mut polls = polls();
        loop {
            polls.tick().await;
            objects.report(match services.objects.check().await {
                Ok(()) => ConditionState::Met,
                Err(error) => ConditionState::Degraded(error.to_string()),
            });
        }
    };
    tokio::join!(check_broker(), check_blobs(), check_objects())
}

fn polls() -> Interval {
    let mut polls = tokio::time::interval(CHECK_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    polls
}
