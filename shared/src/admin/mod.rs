//! Health, readiness and metrics of a process, for operators and orchestrators.

mod grpc_check;
pub mod health;
mod listener;
mod probe;
mod readiness;

pub use self::listener::Admin;
pub use self::probe::{ProbeError, probe};
pub use self::readiness::{Condition, ConditionState, Readiness};
