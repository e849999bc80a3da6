//! The models of one inference thread.

use std::time::{Duration, Instant};

use super::context::Context;
use super::fault::PipelineFault;
use super::models::{AgeEstimator, HeadPoseEstimator, Models, OnDemand, Openable, PassiveLiveness, open};
use super::quality::{Measures, painted_grey, similarity_of_painted};
use super::search::{Embedded, Searched, Searcher};
use super::segments::Segments;
use super::settings::PipelineSettings;
use super::times::{Stage, StageTimes};
use crate::inference::InferenceError;
use crate::picture::{Picture, PictureFault, Source, compress};

/// Codes and judges pictures. Each inference thread has its own one, which owns its sessions of the models.
pub struct Pipeline {
    models: Models,
    pub(crate) searcher: Searcher,
    pub(crate) ages: OnDemand<AgeEstimator>,
    pub(crate) liveness: OnDemand<PassiveLiveness>,
    pub(crate) head_pose: OnDemand<HeadPoseEstimator>,
    pub(crate) context: Context,
}

/// The selected face, with the picture at a scale that is fine enough for it.
pub(crate) struct LocatedFace<'b> {
    pub(crate) source: Source<'b>,
    pub(crate) picture: Picture,
    pub(crate) embedded: Embedded,
}

impl Pipeline {
    /// Opens the models that most jobs need.
    ///
    /// # Errors
    /// [`InferenceError::Model`] if a model does not load or is not what the manifest says,
    /// [`InferenceError::NoProvider`] or [`InferenceError::Provider`] if the device cannot be used.
    pub fn new(models: &Models, settings: PipelineSettings) -> Result<Self, InferenceError> {
        Ok(Self {
            searcher: Searcher::open(models)?,
            ages: OnDemand::new(models),
            liveness: OnDemand::new(models),
            head_pose: OnDemand::new(models),
            context: Context::new(settings),
            models: models.clone(),
        })
    }

    /// Opens the models again, since their sessions may be broken.
    ///
    /// # Errors
    /// As [`Self::new`]; the old sessions of the models that coding needs stay then.
    pub fn reopen(&mut self) -> Result<(), InferenceError> {
        // These models are dropped first, so that a device has their memory for the new sessions.
        self.ages = OnDemand::new(&self.models);
        self.liveness = OnDemand::new(&self.models);
        self.head_pose = OnDemand::new(&self.models);
        self.searcher = Searcher::open(&self.models)?;
        Ok(())
    }

    /// Opens and closes the models that a pipeline opens at their first use. A model that cannot be used then ends the
    /// start of a worker, and not the first request for it.
    ///
    /// # Errors
    /// [`InferenceError::Model`] if a model does not load or is not what the manifest says.
    pub fn check_on_demand_models(models: &Models) -> Result<(), InferenceError> {
        AgeEstimator::open(models)?;
        PassiveLiveness::open(models)?;
        open::<HeadPoseEstimator>(models).map(|_| ())
    }

    /// Runs each model that coding needs once, so that the first job does not pay for their initialisation.
    ///
    /// # Errors
    /// [`PipelineFault::Inference`] if a model does not run.
    pub fn warm_up(&mut self) -> Result<(), PipelineFault> {
        self.searcher.warm_up(&mut self.context)
    }

    /// Time that all models have run so far, without the preparation of inputs. For benchmarks.
    #[must_use]
    pub fn model_time(&self) -> Duration {
        self.searcher.model_time()
            + self.ages.model_time()
            + self.liveness.model_time()
            + self.head_pose.model_time()
    }

    /// Runs the networks of detection, landmarks and embedding `count` times each, without the pipeline around them. For
    /// benchmarks: less than one pass of each is not possible.
    ///
    /// # Errors
    /// [`PipelineFault::Inference`] if a model does not run.
    pub fn run_single_passes(&mut self, count: u32) -> Result<(), PipelineFault> {
        Ok(self.searcher.run_noise(count)?)
    }

    /// Takes the times of all stages since the last call.
    pub fn take_times(&mut self) -> StageTimes {
        std::mem::take(&mut self.context.times)
    }

    /// Takes the segments of the same stages since the last call.
    pub fn take_segments(&mut self) -> Segments {
        std::mem::take(&mut self.context.segments)
    }

    /// Adds a time that ends now, and in which something else was done for the task.
    pub(crate) fn add_segment(&mut self, stage: &'static str, began: Instant) {
        self.context.segments.add(stage, began);
    }

    /// Converts a picture to an upright JPEG of the received size without metadata. No model runs.
    ///
    /// # Errors
    /// [`PictureFault`] if the picture cannot be decoded.
    pub fn compress(&mut self, picture: &[u8]) -> Result<Vec<u8>, PictureFault> {
        let limits = self.context.settings.limits;
        self.context.timed(Stage::Decode, |_| compress(picture, &limits))
    }

    /// Finds the selected face and decodes the picture finely enough for it. `first` is the first candidate's embedding
    /// if it is known already.
    pub(crate) fn locate<'b>(
        &mut self,
        searched: Searched<'b>,
        first: Option<Embedded>,
    ) -> Result<Option<LocatedFace<'b>>, PipelineFault> {
        let context = &mut self.context;
        let Some(face) = self.searcher.find(context, &searched, first)?.into_iter().next() else {
            return Ok(None);
        };
        let Searched { mut source, picture, .. } = searched;
        let (picture, embedded) = self.searcher.refine_scale(context, &mut source, picture, face.embedded)?;
        Ok(Some(LocatedFace { source, picture, embedded }))
    }

    /// Measures a face. Where a mask may cover it, the embedding runs once more.
    pub(crate) fn measure(&mut self, face: &Embedded) -> Result<Measures, InferenceError> {
        let mut measures = Measures::new(&face.candidate, &face.chip, face.embedding.norm);
        if measures.may_be_masked() {
            let grey = painted_grey(&face.chip);
            let painted = self.searcher.embed_chips(&mut self.context, &[&grey])?;
            let painted = painted.iter().map(|embedding| embedding.vector.as_slice());
            measures.lower_half_cover = similarity_of_painted(&face.embedding.vector, painted);
        }
        Ok(measures)
    }
}
