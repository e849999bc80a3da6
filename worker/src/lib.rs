//! The worker: takes jobs from the broker, decodes pictures and videos, runs the face models, and publishes the results.

pub mod inference;
pub mod jobs;
pub mod matching;
pub mod picture;
pub mod pipeline;
mod replay;
mod role;
#[cfg(test)]
mod test_data;
pub mod video;

pub use self::replay::{ClipAnswer, MeasuredClip, measure_clip, measure_frames};
pub use self::role::{
    MODELS_READY, WorkerError, check_models, load_models, pipeline_settings, profile_of, run,
};
