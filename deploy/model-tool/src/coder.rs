//! The worker's pipeline as a coder of evaluations.

use std::path::Path;
use std::thread::available_parallelism;

use anyhow::ensure;
use faceline_models::Repository;
use faceline_models::evaluation::{Coded, Coder, CoderError, Fold, Folder, Sample};
use faceline_shared::settings::Settings;
use faceline_worker::inference::Runtime;
use faceline_worker::pipeline::{Models, Pipeline};
use faceline_worker::{load_models, pipeline_settings};
use indicatif::{ProgressBar, ProgressStyle};

use crate::pad::padded;

/// Loads the models that `config` names.
pub(crate) fn models(config: &Settings) -> anyhow::Result<Models> {
    let repository = Repository::open(&config.models.dir)?;
    let runtime = Runtime::load(repository.runtime_library(), repository.runtime_version())?;
    Ok(load_models(config, &repository, &runtime, &config.inference.device.parse()?)?)
}

/// Number of threads for the work: one per core.
pub(crate) fn threads() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Codes a data set on all cores, with a progress bar on standard error. Each picture gets a black border of `pad`
/// pixels first.
pub(crate) fn code(config: &Settings, dataset: &Path, fold: Option<Fold>, pad: u32) -> anyhow::Result<Coded> {
    let folder = Folder::list(dataset, fold)?;
    let models = models(config)?;
    let threads = threads().min(folder.pictures());
    let mut coders =
        (0..threads).map(|_| CentralFace::new(&models, config, pad)).collect::<anyhow::Result<Vec<_>>>()?;
    let bar = ProgressBar::new(folder.pictures() as u64).with_style(ProgressStyle::with_template(
        "coding {pos} of {len} pictures {wide_bar} {per_sec}, {eta} left{msg}",
    )?);
    let coded = folder.code(&mut coders, &|| bar.inc(1));
    // The comparison after this takes seconds, too.
    bar.finish_with_message(if coded.is_ok() { "; now comparing all of them" } else { "" });
    let coded = coded?;
    let people = coded.people_with_a_face();
    ensure!(
        people > 1,
        "{}: faces of {people} people were found, and it takes two to compare",
        dataset.display()
    );
    Ok(coded)
}

/// Codes the central face, which the data set's label describes.
struct CentralFace {
    pipeline: Pipeline,
    pad: u32,
}

impl CentralFace {
    fn new(models: &Models, config: &Settings, pad: u32) -> anyhow::Result<Self> {
        Ok(Self { pipeline: Pipeline::new(models, pipeline_settings(config))?, pad })
    }
}

impl Coder for CentralFace {
    fn code(&mut self, image: &Path) -> Result<Option<Sample>, CoderError> {
        let mut bytes = std::fs::read(image)?;
        if self.pad > 0 {
            bytes = padded(&bytes, self.pad)?;
        }
        let coded = self.pipeline.code_central(&bytes)?;
        Ok(coded.face.map(|face| Sample {
            embedding: face.embedding,
            quality: face.quality,
            measures: face.measures.named().to_vec(),
        }))
    }
}
