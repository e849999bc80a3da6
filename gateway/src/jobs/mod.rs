//! Jobs: published, remembered until they are answered, published again where the broker lost them.

mod claim_check;
mod dispatcher;
mod metrics;
mod pending;
mod reply_loop;
mod submit;
#[cfg(test)]
mod tests;
mod worker_client;

pub use self::dispatcher::Dispatcher;
pub use self::submit::{JobRequest, Submit, SubmitError, SubmitResult};
pub use self::worker_client::WorkerClient;
pub(crate) use self::worker_client::other_result;
