//! The worker: takes jobs from the broker, decodes pictures, runs the face models, posts the results back.

pub mod inference;
pub mod jobs;
pub mod picture;
pub mod pipeline;

pub use self::jobs::{WorkerError, run};
