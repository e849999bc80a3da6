//! The gateway's side of jobs, with at-least-once delivery.
//!
//! The [`Dispatcher`] publishes a job with publisher confirms and keeps it as pending until its answer or its deadline.
//! If the broker loses the gateway's reply queue, the reply loop publishes all pending jobs again with the new queue's
//! name. So a job may be done twice; the first answer wins, by job id. API families use all of this through
//! [`WorkerClient`].

mod claim_check;
mod dispatcher;
mod metrics;
mod oldest_job;
#[cfg(test)]
mod outage_tests;
mod pending;
mod reply_loop;
mod submit;
#[cfg(test)]
mod tests;
mod worker_client;

pub use self::dispatcher::Dispatcher;
pub use self::submit::{JobRequest, Submit, SubmitError, SubmitResult};
pub use self::worker_client::WorkerClient;
pub(crate) use self::worker_client::unexpected_result;
