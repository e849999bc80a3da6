//! What operators and orchestrators see of a process: health, readiness and metrics.

mod grpc_check;
pub mod health;
mod listener;
mod probe;
mod readiness;

pub use self::listener::Admin;
pub use self::probe::{ProbeError, probe};
pub use self::readiness::{Condition, ConditionState, Readiness};
