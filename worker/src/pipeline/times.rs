//! How long the stages of a coding took.

use std::time::{Duration, Instant};

/// Time per stage, summed over everything that was coded with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes {
    /// From bytes to pixels.
    pub decode: Duration,
    /// Finding faces: the detector with its input.
    pub detect: Duration,
    /// Finding landmarks, with the model's input.
    pub landmarks: Duration,
    /// Alignment and the embedding.
    pub embed: Duration,
    /// The age model, with its input.
    pub age: Duration,
    /// Whether a face is alive: the liveness model, with its input.
    pub liveness: Duration,
}

impl StageTimes {
    /// Time on pixels and models, without decoding.
    #[must_use]
    pub fn infer(&self) -> Duration {
        self.detect + self.landmarks + self.embed + self.age + self.liveness
    }
}

/// Runs one stage and adds its time.
pub(super) fn timed<T>(total: &mut Duration, stage: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = stage();
    *total += start.elapsed();
    result
}
