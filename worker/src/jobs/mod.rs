//! The path of a job through a worker: consumed, fetched, handled, answered, acknowledged.
//!
//! A worker keeps no state. The broker confirms an answer before its job is acknowledged, so after the death of any
//! process the broker still has the job or its answer.

mod availability;
mod biometric_metrics;
mod clock_skew;
mod consumer;
mod consuming_period;
mod deferral;
mod engine;
#[cfg(test)]
mod engine_tests;
mod expiring_set;
mod fetch;
mod handler;
mod inference_thread;
mod job_span;
mod lane;
mod metrics;
mod quarantine;
mod reply;
mod session_health;
mod settle;
mod streams;
mod task_runner;
#[cfg(test)]
mod tests;

pub use self::availability::Availability;
pub use self::consumer::{Consumer, GIVE_BACK_TIMEOUT};
pub use self::engine::{Engine, EngineThreads};
pub use self::handler::{Handler, Unavailable};
pub use self::metrics::WorkerMetrics;
pub use self::reply::CLOCK_TOLERANCE;
pub use self::task_runner::{JobTimes, TaskFault, TaskRun, TaskRunner};
