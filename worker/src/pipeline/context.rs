//! State that all steps of the pipeline share.

use std::time::Instant;

use super::models::{FaceRegion, PassiveLiveness};
use super::segments::Segments;
use super::settings::PipelineSettings;
use super::times::{Stage, StageTimes};
use crate::inference::InferenceError;
use crate::picture::Sampler;

/// Settings, buffers and measured times of one pipeline, handed to each of its steps.
pub(crate) struct Context {
    pub(crate) settings: PipelineSettings,
    pub(crate) sampler: Sampler,
    /// Times since they were last taken.
    pub(crate) times: StageTimes,
    /// The same as spans of time.
    pub(crate) segments: Segments,
}

impl Context {
    pub(crate) fn new(settings: PipelineSettings) -> Self {
        Self {
            settings,
            sampler: Sampler::default(),
            times: StageTimes::default(),
            segments: Segments::default(),
        }
    }

    /// Log-odds of passive liveness of one face.
    pub(crate) fn liveness_log_odds(
        &mut self,
        model: &mut PassiveLiveness,
        face: FaceRegion<'_>,
    ) -> Result<f32, InferenceError> {
        let found = self.timed(Stage::Liveness, |sampler| model.log_odds(sampler, &[face]))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Runs one step and adds its time to a stage. The step gets the sampler, which most steps need.
    pub(crate) fn timed<T>(&mut self, stage: Stage, step: impl FnOnce(&mut Sampler) -> T) -> T {
        let started = Instant::now();
        let result = step(&mut self.sampler);
        self.times.add(stage, started.elapsed());
        self.segments.add(if stage == Stage::Decode { "decode" } else { "infer" }, started);
        result
    }
}
