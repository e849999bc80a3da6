//! Times of the stages of the pipeline.

use std::time::Duration;

/// A stage in the processing of a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    Decode,
    Detect,
    Landmarks,
    Embed,
    Age,
    Liveness,
}

/// Time per stage, summed over several pictures.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes {
    /// Decoding bytes to pixels.
    pub decode: Duration,
    /// Running the detector, with the preparation of its input.
    pub detect: Duration,
    /// Running the landmark model, with the preparation of its input.
    pub landmarks: Duration,
    /// Aligning and embedding faces.
    pub embed: Duration,
    /// Running the age model, with the preparation of its input.
    pub age: Duration,
    /// Running the passive liveness model, with the preparation of its input.
    pub liveness: Duration,
}

impl StageTimes {
    /// Time of all stages except decoding.
    #[must_use]
    pub fn infer(&self) -> Duration {
        self.detect + self.landmarks + self.embed + self.age + self.liveness
    }

    /// Adds to the time of a stage.
    pub(crate) fn add(&mut self, stage: Stage, time: Duration) {
        let total = match stage {
            Stage::Decode => &mut self.decode,
            Stage::Detect => &mut self.detect,
            Stage::Landmarks => &mut self.landmarks,
            Stage::Embed => &mut self.embed,
            Stage::Age => &mut self.age,
            Stage::Liveness => &mut self.liveness,
        };
        *total += time;
    }
}
