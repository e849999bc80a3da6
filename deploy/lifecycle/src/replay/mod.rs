//! Replays: a video is uploaded, a row of the outbox publishes its job, any gateway takes the result and ends the replay in one
//! operation of the store, and rows that are written with the end call the service provider back, record the usage and delete the
//! video.

mod model;
mod state;

pub use self::model::{Action, Mutation, Replay};
pub use self::state::{End, Message, State};
