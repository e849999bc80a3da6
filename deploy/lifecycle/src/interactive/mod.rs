//! Jobs whose callers wait: a gateway publishes a job, a worker does it and publishes the result to the gateway's reply queue, and
//! the gateway gives the first result to the caller.

mod model;
mod state;

pub use self::model::{Action, Interactive, Mutation};
pub use self::state::{Answer, Busy, Gateway, Message, Reply, State};
