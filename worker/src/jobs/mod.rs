//! The role: jobs in, answers out.

mod comparator;
mod consumer;
mod engine;
mod expiring;
mod face_worker;
mod handler;
mod identity;
mod metrics;
mod role;
#[cfg(test)]
mod tests;

pub use self::comparator::Comparator;
pub use self::consumer::Consumer;
pub use self::engine::Engine;
pub use self::face_worker::{FaceWorker, sha256};
pub use self::handler::{Handler, Times};
pub use self::metrics::WorkerMetrics;
pub use self::role::{MODELS_READY, WorkerError, pipeline_settings, run};
