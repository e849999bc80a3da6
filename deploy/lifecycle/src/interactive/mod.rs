//! Jobs whose callers wait. A gateway publishes a job. A worker executes it and publishes the result to the gateway's
//! reply queue. The gateway returns the first result to the caller.

mod model;
mod state;

pub use self::model::{Action, Interactive, Mutation};
pub use self::state::{Answer, Busy, Gateway, Message, Reply, State};
