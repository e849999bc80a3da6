//! The worker's pipeline outside a worker.

use std::path::Path;

use faceline_models::Repository;
use faceline_models::evaluation::{Coder, CoderError};
use faceline_shared::config::Config;
use faceline_worker::inference::Runtime;
use faceline_worker::jobs::pipeline_settings;
use faceline_worker::pipeline::{Models, Pipeline, StageTimes};

/// Loads the models that `config` names.
pub(super) fn models(config: &Config) -> anyhow::Result<Models> {
    let repository = Repository::open(&config.models.dir)?;
    let runtime = Runtime::load(repository.runtime_library(), repository.runtime_version())?;
    Ok(Models::load(&repository, &runtime, &config.inference.device.parse()?)?)
}

/// Codes the face that a data set means: the central one.
pub(super) struct CentralFace {
    pipeline: Pipeline,
}

impl CentralFace {
    pub(super) fn new(models: &Models, config: &Config) -> anyhow::Result<Self> {
        Ok(Self { pipeline: Pipeline::new(models, pipeline_settings(config))? })
    }
}

impl Coder for CentralFace {
    fn code(&mut self, image: &Path) -> Result<Option<Vec<f32>>, CoderError> {
        let coded = self.pipeline.code_central(&std::fs::read(image)?, &mut StageTimes::default())?;
        Ok(coded.face.map(|face| face.embedding))
    }
}
