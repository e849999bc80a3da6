//! Options that all sessions share.

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

/// Options of a session that uses only the calling thread and never spins. The worker scales by its number of inference
/// threads.
pub(super) fn cpu_options(environment: &Environment) -> ort::Result<SessionBuilder> {
    Ok(ort::session::Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?)
}
