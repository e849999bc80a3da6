//! The role: jobs in, answers out.

mod consumer;
mod engine;
mod expiring;
mod handler;
mod metrics;

pub use self::consumer::Consumer;
pub use self::engine::Engine;
pub use self::handler::{FetchedPicture, FetchedReference, Handler, Times, Work};
pub use self::metrics::WorkerMetrics;
